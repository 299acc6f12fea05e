"""A toy environment: a dot in a room with a wall and a door in it; users' hooks and policies for it."""

import gymnasium
import numpy as np
from gymnasium import spaces

WALL, DOOR = 24.0, (10.0, 22.0)
"""Column of the wall, and between which rows it is open."""
LOW, HIGH = 3.0, 44.0


class DotRoom(gymnasium.Env):
    """An action from -2 to 2 per axis moves the dot by twice that in pixels, not through the wall."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}

    def __init__(self, render_mode=None, goals=False, states=True):
        self.render_mode, self._goals, self._states = render_mode, goals, states
        self.action_space = spaces.Box(-2.0, 2.0, (2,), np.float32)
        self.observation_space = spaces.Box(0.0, 48.0, (2,), np.float64)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.shade = int(self.np_random.integers(20, 60))
        self.goal, self.place = self._free(), self._free()
        info = {}
        if self._goals:
            here, self.place = self.place, self.goal
            info, self.place = {"goal": self.render()}, here
        return self._observe(), info

    def step(self, action):
        moved = np.clip(self.place + 2 * np.asarray(action, float), LOW, HIGH)
        through = (self.place[0] < WALL) != (moved[0] < WALL)
        if through and not DOOR[0] < moved[1] < DOOR[1]:
            moved[0] = self.place[0]
        self.place = moved
        near = bool(np.linalg.norm(self.place - self.goal) < 4)
        info = {"success": near} if self._goals else {}
        return self._observe(), 0.0, near and not self._goals, False, info

    def render(self):
        column, row = np.arange(48), np.arange(48)[:, None]
        picture = np.full((48, 48, 3), self.shade, np.uint8)
        picture[:, 23:26] = 120
        picture[int(DOOR[0]) : int(DOOR[1]), 23:26] = self.shade
        dot = np.exp(-((column - self.place[0]) ** 2 + (row - self.place[1]) ** 2) / 8)
        picture[..., 0] = np.maximum(picture[..., 0], 255 * dot)
        return picture

    def _free(self):
        return self.np_random.uniform(LOW, HIGH, 2)

    def _observe(self):
        return self.place.copy() if self._states else {"nothing": 0}


class Placeable(DotRoom):
    """Has the methods by which stable-worldmodel sets its environments."""

    def _set_state(self, state):
        self.place = np.asarray(state, float)

    def _set_goal_state(self, state):
        self.goal = np.asarray(state, float)


class Failing(Placeable):
    """Breaks down after a few steps."""

    def step(self, action):
        raise RuntimeError("out of order")


def put(env, state, goal):
    """A hook."""
    env.unwrapped.place, env.unwrapped.goal = np.asarray(state, float), np.asarray(goal, float)


class Roaming:
    """Holds a random direction for a few steps; its episodes have their goal in a corner far away."""

    def set_env(self, env):
        self._rng, self._left = env.np_random, 0
        env.unwrapped.goal = np.array([-99.0, -99.0])

    def __call__(self, observation, info):
        if not self._left:
            self._action, self._left = self._rng.uniform(-2, 2, 2), int(self._rng.integers(2, 6))
        self._left -= 1
        return self._action.astype(np.float32)


ROAM = Roaming()

for _name, _kind, _more in (
    ("DotRoom-v0", DotRoom, {}),
    ("DotRoomPlaceable-v0", Placeable, {}),
    ("DotRoomFailing-v0", Failing, {}),
    ("DotRoomGoals-v0", DotRoom, {"goals": True}),
    ("DotRoomBlind-v0", DotRoom, {"states": False}),
):
    gymnasium.register(_name, _kind, max_episode_steps=40, kwargs=_more)
