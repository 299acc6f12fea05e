"""One shard of each data set that ``python -m envs.collect`` makes, with what it was made with.

A simulator is imported by the process that needs one.
"""

from pathlib import Path

from envs.push.ids import PUSH_ID
from envs.videos import cannonballs, moving_digits
from world_models.data import Scalar, Sequences, shard_path, write_shard

SIZE = 250
PUSH_VERSION = 2
PLAY_VERSION = 1
BROWNIAN_ID = "structured-brownian-motion"
BROWNIAN_VERSION = 1
SUITE_VERSION = 1
AGENTS_ID = "agents"
AGENTS_VERSION = 1
DIGITS_ID = "moving-digits"
DIGITS_VERSION = 1
CANNONBALLS_ID = "cannonballs"
CANNONBALLS_VERSION = 1


def push(folder: Path, seed: int, index: int) -> None:
    """Demonstrations of pushing."""
    from envs.push.demonstrations import draw_demonstration, render_sequences
    from envs.push.env import PushEnv

    env = PushEnv()
    try:
        first = index * SIZE
        demonstrations = [draw_demonstration(env, seed, first + k) for k in range(SIZE)]
        sequences = render_sequences(env, demonstrations)
        _write(folder, seed, index, sequences, environment=PUSH_ID, version=PUSH_VERSION)
    finally:
        env.close()


def push_play(folder: Path, seed: int, index: int) -> None:
    """Pushing without a goal."""
    from envs.push.env import PushEnv
    from envs.push.play import BODIES, draw_sequences

    env = PushEnv()
    try:
        _write(
            folder,
            seed,
            index,
            draw_sequences(env, seed, index * SIZE, SIZE),
            environment=PUSH_ID,
            version=PLAY_VERSION,
            policy="play",
            observation=2 * len(BODIES),
            bodies=",".join(BODIES),
        )
    finally:
        env.close()


def brownian(folder: Path, seed: int, index: int) -> None:
    """Structured Brownian motion."""
    from envs.videos.brownian import draw_sequences

    sequences = draw_sequences(seed, index * SIZE, SIZE)
    _write(folder, seed, index, sequences, environment=BROWNIAN_ID, version=BROWNIAN_VERSION)


def agents(folder: Path, seed: int, index: int) -> None:
    """Players and a ball."""
    from envs.videos.agents import BODIES, draw_sequences

    _write(
        folder,
        seed,
        index,
        draw_sequences(seed, index * SIZE, SIZE),
        environment=AGENTS_ID,
        version=AGENTS_VERSION,
        observation=0,
        bodies=",".join(BODIES),
    )


def digits(videos: moving_digits.Videos, folder: Path, seed: int, index: int) -> None:
    """Stochastic Moving Digits."""
    sequences = moving_digits.draw_sequences(videos, seed, index * SIZE, SIZE)
    origin = {"environment": DIGITS_ID, "version": DIGITS_VERSION, **videos.origin()}
    _write(folder, seed, index, sequences, **origin)


def balls(videos: cannonballs.Videos, folder: Path, seed: int, index: int) -> None:
    """Cannonballs."""
    sequences = cannonballs.draw_sequences(videos, seed, index * SIZE, SIZE)
    origin = {"environment": CANNONBALLS_ID, "version": CANNONBALLS_VERSION, **videos.origin()}
    _write(folder, seed, index, sequences, **origin)


def dmc(task: str, folder: Path, seed: int, index: int) -> None:
    """A DM Control task under random actions."""
    from envs.dmc.env import DmcEnv
    from envs.dmc.recordings import EPISODE_FRAMES, draw_sequences

    env = DmcEnv(task)
    try:
        _write(
            folder,
            seed,
            index,
            draw_sequences(env, seed, index * SIZE, SIZE),
            environment=env.task.id,
            version=SUITE_VERSION,
            camera=env.task.camera,
            action_repeat=env.task.action_repeat,
            episode_length=EPISODE_FRAMES,
            observation=env.observation_size,
            bodies=",".join(env.bodies),
        )
    finally:
        env.close()


def _write(folder: Path, seed: int, index: int, sequences: Sequences, **origin: Scalar) -> None:
    attributes: dict[str, Scalar] = {"seed": seed, "first_index": index * SIZE, **origin}
    write_shard(shard_path(folder, index), sequences, attributes)
