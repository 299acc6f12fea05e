"""Play: contact-rich pushing without a goal, from which a model of actions is learned.

A finger that moves at random hardly ever meets the puck. Three kinds of sequences make up for that, all at
the rate of control: the demonstrator at work, the demonstrator disturbed by noise, and babbling near the
puck, half of it aimed at the puck. Noise and babble are smooth, as the actions are that a servo imagines.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from envs.push.demonstrations import PLAN_DRAWS
from envs.push.demonstrator import Pusher, plan_pushes
from envs.push.env import CAMERA, PushEnv
from envs.push.ids import PUSH_STEPS
from envs.push.scene import PUCK_RADIUS, TABLE, Scene, Wall
from envs.push.tasks import draw_sampler
from envs.rendering import Projection
from world_models.data import Sequences

FRAMES = 20
BODIES = ("puck", "finger")
"""Whose pixel positions are recorded."""
DEMONSTRATED = 0.4
"""Share of sequences in which the demonstrator acts; in half of these it is disturbed."""
DISTURBANCE = 0.6
"""Standard deviation of the noise on its actions."""
NEAR = (0.18, 0.7)
"""How far from the puck's centre the finger begins to babble; they touch at 0.17."""
AIMED = 0.5
"""Share of the babble that is drawn toward the puck."""
GAP = 0.03
"""Least distance of puck and wall at the start."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Play:
    """One sequence: frames ``[T, H, W, 3]``, actions ``[T-1, 2]`` and true positions ``[T, 8]``.

    Positions are x and y of puck and finger in table units, then their pixels.
    """

    frames: NDArray[np.uint8]
    actions: NDArray[np.float32]
    states: NDArray[np.float32]


def draw_play(env: PushEnv, seed: int, index: int) -> Play:
    """Sequence ``index`` of the data set with this seed; depends on nothing but its arguments."""
    rng = np.random.default_rng([seed, index, 0x91A7])
    scene = draw_sampler(rng)(rng)
    if rng.random() < DEMONSTRATED:
        return _demonstrated(env, scene, rng)
    return _babbled(env, scene, rng)


def draw_sequences(env: PushEnv, seed: int, first: int, count: int) -> Sequences:
    """Sequences ``first`` to ``first + count`` of the data set with this seed; no frame is a keyframe."""
    plays = [draw_play(env, seed, first + k) for k in range(count)]
    return Sequences(
        frames=np.stack([play.frames for play in plays]),
        actions=np.stack([play.actions for play in plays]),
        keyframes=np.zeros((count, FRAMES), dtype=np.bool_),
        states=np.stack([play.states for play in plays]),
    )


def _demonstrated(env: PushEnv, scene: Scene, rng: np.random.Generator) -> Play:
    """A part of a demonstration, which may fail."""
    plan = None
    for _ in range(PLAN_DRAWS):
        plan = plan_pushes(scene, rng, PUSH_STEPS)
        if plan is not None:
            break
    if plan is None:
        return _babbled(env, scene, rng)
    noise = smooth_noise(rng, PUSH_STEPS) * (DISTURBANCE if rng.random() < 0.5 else 0.0)
    begin = int(rng.integers(PUSH_STEPS - FRAMES + 2))
    env.start(scene)
    pusher = Pusher(plan, np.array(scene.puck))
    record = _Record(env)
    for step in range(begin + FRAMES - 1):
        if step >= begin:
            record.look()
        now = env.positions()
        action, _ = pusher.act(now["puck"], now["finger"])
        record.act(np.clip(action + noise[step], -1.0, 1.0), keep=step >= begin)
    record.look()
    return record.play()


def _babbled(env: PushEnv, scene: Scene, rng: np.random.Generator) -> Play:
    """Smooth random actions of a finger that begins near a puck anywhere on the table."""
    puck = free_place(scene.walls, rng)
    finger = beside(puck, rng)
    env.start(Scene(scene.walls, (puck[0], puck[1]), scene.goal, (finger[0], finger[1])))
    aimed = rng.random() < AIMED
    noise = smooth_noise(rng, FRAMES - 1) * rng.uniform(0.3, 1.2)
    record = _Record(env)
    for step in range(FRAMES - 1):
        record.look()
        action = noise[step]
        if aimed:
            now = env.positions()
            way = now["puck"] - now["finger"]
            action = action + way / max(float(np.linalg.norm(way)), 1e-9)
        record.act(np.clip(action, -1.0, 1.0), keep=True)
    record.look()
    return record.play()


def smooth_noise(rng: np.random.Generator, steps: int) -> Array:
    """Noise ``[steps, 2]`` of unit variance whose power falls with the square of the frequency."""
    gain = 1.0 / np.maximum(np.fft.rfftfreq(2 * steps), 1.0 / steps)
    spectrum = np.fft.rfft(rng.standard_normal((2 * steps, 2)), axis=0) * gain[:, None]
    noise = np.fft.irfft(spectrum, n=2 * steps, axis=0)
    return noise[:steps] / noise.std()


class _Record:
    """What is seen and done in the running episode."""

    def __init__(self, env: PushEnv) -> None:
        self._env = env
        self._project = Projection(env.model, CAMERA, env.observation_space.shape[0])  # type: ignore[index]
        self._frames: list[NDArray[np.uint8]] = []
        self._actions: list[Array] = []
        self._states: list[Array] = []

    def look(self) -> None:
        now = self._env.positions()
        points = np.stack([now[body] for body in BODIES])
        self._frames.append(self._env.render())
        self._states.append(np.concatenate([points.ravel(), self._project(points, 0.0).ravel()]))

    def act(self, action: Array, keep: bool) -> None:
        # Rounded as it will be stored, so that the recorded action is the one that was carried out.
        stored = action.astype(np.float32).astype(np.float64)
        self._env.advance(stored)
        if keep:
            self._actions.append(stored)

    def play(self) -> Play:
        return Play(
            np.stack(self._frames),
            np.stack(self._actions).astype(np.float32),
            np.stack(self._states).astype(np.float32),
        )


def free_place(walls: tuple[Wall, ...], rng: np.random.Generator) -> Array:
    """A place for the puck that touches no wall."""
    most = TABLE - PUCK_RADIUS - GAP
    while True:
        place = rng.uniform(-most, most, size=2)
        if all(_distance(wall, place) > PUCK_RADIUS + GAP for wall in walls):
            return place


def _distance(wall: Wall, place: Array) -> float:
    """Distance of a place from the middle line of a wall."""
    offset = place - wall.middle
    along = float(np.clip(offset @ wall.along, -wall.half_length, wall.half_length))
    return float(np.linalg.norm(offset - along * wall.along))


def beside(puck: Array, rng: np.random.Generator) -> Array:
    """A place for the finger near the puck, on the table."""
    while True:
        angle, distance = rng.uniform(-np.pi, np.pi), rng.uniform(*NEAR)
        finger = puck + distance * np.array([np.cos(angle), np.sin(angle)])
        if np.abs(finger).max() < TABLE - 0.1:
            return finger
