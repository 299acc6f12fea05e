"""A toy gymnasium environment: a square that moves along a line, and policies for it."""

import gymnasium
import numpy as np
from gymnasium import spaces


class Slide(gymnasium.Env):
    """The action moves the square by -2 to 4 pixels; the reward is where it is; episodes end at the edge."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}

    def __init__(self, render_mode=None, discrete=False):
        self.render_mode = render_mode
        self.action_space = spaces.Discrete(3) if discrete else spaces.Box(-2.0, 4.0, (1,), np.float32)
        self.observation_space = spaces.Box(0.0, 100.0, (2,), np.float64)
        self.renders = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place = float(self.np_random.integers(0, 5))
        return self._observe(), {}

    def step(self, action):
        self.place += 1.0 if np.ndim(action) == 0 else float(action[0])
        return self._observe(), self.place, self.place > 40, False, {}

    def render(self):
        picture = np.zeros((50, 70, 3), np.uint8)
        picture[20:30, 10:60] = round(100 + max(self.place, 0))
        return picture

    def _observe(self):
        return np.array([self.place, 7.0])


class Dark(Slide):
    """Draws no pictures."""

    metadata = {"render_modes": ["ansi"]}


class Veiled(Slide):
    """Fails to draw where the square has come far."""

    def render(self):
        if self.place > 43:
            raise RuntimeError("too far to see")
        return super().render() if self.place < 43 else None


def forward(observation, info):
    return np.array([4.0], np.float32)


def first(observation, info):
    return 1


def wrong(observation, info):
    return np.zeros(3, np.float32)


def late_fault(observation, info):
    """Fails after a few steps in the episodes that begin beyond the second pixel."""
    if observation[0] > 10 and observation[0] % 4 > 2:
        raise RuntimeError("out of ideas")
    return np.array([4.0], np.float32)


NOTHING = 3
"""Not callable."""

gymnasium.register("Slide-v0", Slide, max_episode_steps=12)
gymnasium.register("SlideChoice-v0", Slide, max_episode_steps=12, kwargs={"discrete": True})
gymnasium.register("SlideForever-v0", Slide)
gymnasium.register("SlideVeiled-v0", Veiled, max_episode_steps=12)
gymnasium.register("SlideDark-v0", Dark, max_episode_steps=12)
