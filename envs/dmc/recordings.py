"""DM Control tasks under random actions: the sequences of ``python -m envs.collect dmc``."""

from dataclasses import dataclass
from zlib import crc32

import numpy as np
from dm_control.rl.control import PhysicsError
from numpy.typing import NDArray

from envs.dmc.env import SEEDS, DmcEnv
from world_models.data import Sequences
from world_models.jobs.command import Failure

FRAMES = 20
LONGEST_LEAD = 40
"""A sequence begins 1 to this many steps after the episode, so its first frame has a reward too."""
EPISODE_FRAMES = 1 + LONGEST_LEAD + FRAMES - 1
"""The longest episode: the start, the steps before the sequence and the sequence."""
CHANGE = 0.25
"""Chance that a step draws a new action, uniform in the box; otherwise the last one is held. A new action
every step would average out: hardly anything moves."""
ATTEMPTS = 200


@dataclass(frozen=True)
class Recording:
    """One sequence: frames ``[T, H, W, 3]``, actions ``[T-1, A]``, states ``[T, S]``, rewards ``[T]``."""

    frames: NDArray[np.uint8]
    actions: NDArray[np.float32]
    states: NDArray[np.float32]
    rewards: NDArray[np.float32]


def draw_recording(env: DmcEnv, seed: int, index: int) -> Recording:
    """Sequence ``index`` of the environment's task with this seed.

    Depends on nothing but its arguments, so any process may make any sequence. Each task has its own
    stream: two tasks of one domain show different motion. A sequence in which a tracked point leaves the
    picture is drawn again (a random cart soon runs off the edge), and so is a simulation that diverges.

    Raises:
        RuntimeError: no attempt succeeds.
    """
    for attempt in range(ATTEMPTS):
        rng = np.random.default_rng([seed, crc32(env.task.name.encode()), index, attempt])
        try:
            recording = _record(env, rng)
        except PhysicsError:
            continue
        if recording is not None:
            return recording
    raise Failure(f"{env.task.name}: sequence {index} of seed {seed} failed {ATTEMPTS} times")


def draw_sequences(env: DmcEnv, seed: int, first: int, count: int) -> Sequences:
    """Sequences ``first`` to ``first + count`` of the data set with this seed; no frame is a keyframe."""
    recordings = [draw_recording(env, seed, first + k) for k in range(count)]
    return Sequences(
        frames=np.stack([r.frames for r in recordings]),
        actions=np.stack([r.actions for r in recordings]),
        keyframes=np.zeros((count, FRAMES), dtype=np.bool_),
        states=np.stack([r.states for r in recordings]),
        rewards=np.stack([r.rewards for r in recordings]),
    )


def _record(env: DmcEnv, rng: np.random.Generator) -> Recording | None:
    """One attempt; None as soon as a tracked point is out of the picture or a number is not finite."""
    lead = int(rng.integers(1, LONGEST_LEAD + 1))
    env.start(int(rng.integers(SEEDS)))
    actions = random_actions(rng, lead + FRAMES - 1, env.action_size)
    frames, states, rewards = [], [], []
    for step, action in enumerate(actions, start=1):
        reward, _ = env.advance(action)
        if step < lead:
            continue
        state = env.state()
        if not (np.isfinite(reward) and np.isfinite(state).all() and _in_picture(env, state)):
            return None
        frames.append(env.render())
        states.append(state)
        rewards.append(reward)
    return Recording(
        frames=np.stack(frames),
        actions=actions[lead:],
        states=np.stack(states).astype(np.float32),
        rewards=np.array(rewards, dtype=np.float32),
    )


def _in_picture(env: DmcEnv, state: NDArray[np.float64]) -> bool:
    pixels = state[env.observation_size :]
    return bool(pixels.min() > -0.5 and pixels.max() < env.image_size - 0.5)


def random_actions(rng: np.random.Generator, steps: int, size: int) -> NDArray[np.float32]:
    """Actions ``[steps, A]`` that are held for four steps on average."""
    fresh = rng.uniform(-1.0, 1.0, (steps, size)).astype(np.float32)
    changes = rng.random(steps) < CHANGE
    changes[0] = True
    return fresh[np.maximum.accumulate(np.where(changes, np.arange(steps), 0))]
