"""Collect data: ``python -m envs.collect push --out data/push --sequences 50000 --workers 2``.

``dmc`` makes one folder per DM Control task, ``brownian`` and ``agents`` need no simulator. They write shards
as ``push`` does (see :mod:`world_models.data`), one process per core. A run that was interrupted goes on with
the first missing shard; the same seed gives the same bytes whatever the number of workers. ``basketball`` and
``human36m`` bring data of yours into this form (see :mod:`envs.external`).
"""

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import tyro
from tqdm import tqdm

from envs import PUSH_ID
from envs.suite_tasks import TASKS, find_task
from world_models.data import DataError, Scalar, read_attributes, shard_path, write_shard

SHARD_SIZE = 250
VERSION = 2
BROWNIAN_ID = "structured-brownian-motion"
BROWNIAN_VERSION = 1
SUITE_VERSION = 1
AGENTS_ID = "agents"
AGENTS_VERSION = 1
ALL = "all"


@dataclass(frozen=True)
class Push:
    """Demonstrations of pushing the puck round the wall."""

    out: Path = Path("data/push")
    """Folder of the shards."""
    sequences: int = 50_000
    """How many demonstrations, 31 frames each; rounded up to whole shards of 250."""
    seed: int = 0
    workers: int = os.cpu_count() or 1


@dataclass(frozen=True)
class Brownian:
    """Structured Brownian motion: a disc that flies straight and turns after 6 to 8 frames."""

    out: Path = Path("data/brownian")
    """Folder of the shards."""
    sequences: int = 20_000
    """How many sequences, 35 frames each; rounded up to whole shards of 250."""
    seed: int = 0
    workers: int = os.cpu_count() or 1


@dataclass(frozen=True)
class Dmc:
    """DM Control tasks under random actions, with rewards: one folder per task."""

    out: Path = Path("data/dmc")
    """The shards of a task go into a folder of its name in here."""
    task: str = ALL
    """One task such as cartpole-balance, or all of them one after the other."""
    sequences: int = 6_500
    """How many sequences of every task, 20 frames each; rounded up to whole shards of 250."""
    seed: int = 0
    workers: int = os.cpu_count() or 1


@dataclass(frozen=True)
class Agents:
    """Five players and a ball seen from above, who react to each other."""

    out: Path = Path("data/agents")
    """Folder of the shards."""
    sequences: int = 8_000
    """How many sequences, 20 frames each; rounded up to whole shards of 250."""
    seed: int = 0
    workers: int = os.cpu_count() or 1


@dataclass(frozen=True)
class Basketball:
    """Basketball recordings or tracks that you have, cut into windows."""

    source: Path
    """Folder of *.npz or *.npy files; those with "test" in their names come last."""
    out: Path = Path("data/basketball")
    """Folder of the shards."""
    frames: int = 20
    """Length of a window."""
    court: tuple[float, float, float] = (0.0, 0.0, 50.0)
    """The square that pictures of tracks show: x and y of its lower left corner, and its side."""


@dataclass(frozen=True)
class Human36m:
    """Human3.6M videos that you have, at 6.25 frames per second and cut into windows."""

    source: Path
    """Folder with the folders S1, S5, S6, S7, S8 and, for testing, S9, S11."""
    out: Path = Path("data/human36m")
    """Folder of the shards."""
    frames: int = 20
    """Length of a window."""


def collect_push(arguments: Push) -> None:
    """Make every shard of demonstrations that is not there yet."""
    _collect(arguments, _write_push_shard, PUSH_ID, VERSION)


def collect_brownian(arguments: Brownian) -> None:
    """Make every shard of Structured Brownian motion that is not there yet."""
    _collect(arguments, _write_brownian_shard, BROWNIAN_ID, BROWNIAN_VERSION)


def collect_dmc(arguments: Dmc) -> None:
    """Make every shard that is not there yet, of one task or of all."""
    try:
        tasks = list(TASKS.values()) if arguments.task == ALL else [find_task(arguments.task)]
    except ValueError as error:
        raise SystemExit(f"{error}; or {ALL}") from error
    for task in tasks:
        folder = replace(arguments, out=arguments.out / task.name)
        _collect(folder, partial(_write_dmc_shard, task.name), task.id, SUITE_VERSION)


def collect_agents(arguments: Agents) -> None:
    """Make every shard of players and ball that is not there yet."""
    _collect(arguments, _write_agents_shard, AGENTS_ID, AGENTS_VERSION)


def collect_owned(arguments: Basketball | Human36m) -> None:
    """Write every shard that is not there yet, and say what there is."""
    from envs.external import collect_basketball, collect_human36m

    source, out, frames = arguments.source, arguments.out, arguments.frames
    if isinstance(arguments, Basketball):
        found = collect_basketball(source, out, frames, arguments.court)
    else:
        found = collect_human36m(source, out, frames)
    print(f"{found.sequences} sequences in {out}, of which the last {found.test} are for testing")
    if found.left_out:
        print(f"{found.left_out} windows were left out because a body leaves the picture")


def _collect(
    arguments: Push | Brownian | Dmc | Agents,
    write: Callable[[Path, int, int], None],
    environment: str,
    version: int,
) -> None:
    """``write(folder, seed, index)`` for every missing shard, with a progress bar over sequences."""
    if arguments.sequences < 1 or arguments.workers < 1 or arguments.seed < 0:
        raise SystemExit("--sequences and --workers must be at least 1, --seed at least 0")
    shards = -(-arguments.sequences // SHARD_SIZE)
    wanted: dict[str, Scalar] = {"environment": environment, "seed": arguments.seed, "version": version}
    missing = [index for index in range(shards) if not _is_done(shard_path(arguments.out, index), wanted)]
    bar = tqdm(total=shards * SHARD_SIZE, initial=(shards - len(missing)) * SHARD_SIZE, unit="seq")
    bar.set_description(arguments.out.name)
    context = multiprocessing.get_context("spawn")
    with bar, ProcessPoolExecutor(arguments.workers, mp_context=context) as pool:
        jobs = [pool.submit(write, arguments.out, arguments.seed, index) for index in missing]
        try:
            for job in as_completed(jobs):
                job.result()
                bar.update(SHARD_SIZE)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _is_done(path: Path, wanted: dict[str, Scalar]) -> bool:
    if not path.exists():
        return False
    attributes = read_attributes(path)
    found = {name: attributes.get(name) for name in wanted}
    if found != wanted:
        made, asked = (", ".join(f"{k} {v}" for k, v in values.items()) for values in (found, wanted))
        raise SystemExit(
            f"{path} was made with {made}, not with {asked}; choose another --out or the same seed"
        )
    return True


def _write_brownian_shard(folder: Path, seed: int, index: int) -> None:
    from envs.brownian import draw_sequences

    first = index * SHARD_SIZE
    attributes: dict[str, Scalar] = {
        "environment": BROWNIAN_ID,
        "seed": seed,
        "first_index": first,
        "version": BROWNIAN_VERSION,
    }
    write_shard(shard_path(folder, index), draw_sequences(seed, first, SHARD_SIZE), attributes)


def _write_agents_shard(folder: Path, seed: int, index: int) -> None:
    from envs.agents import BODIES, draw_sequences

    first = index * SHARD_SIZE
    attributes: dict[str, Scalar] = {
        "environment": AGENTS_ID,
        "seed": seed,
        "first_index": first,
        "version": AGENTS_VERSION,
        "observation": 0,
        "bodies": ",".join(BODIES),
    }
    write_shard(shard_path(folder, index), draw_sequences(seed, first, SHARD_SIZE), attributes)


def _write_push_shard(folder: Path, seed: int, index: int) -> None:
    from envs.demonstrations import draw_demonstration, render_sequences
    from envs.push import PushEnv

    env = PushEnv()
    try:
        first = index * SHARD_SIZE
        demonstrations = [draw_demonstration(env, seed, first + k) for k in range(SHARD_SIZE)]
        attributes: dict[str, Scalar] = {
            "environment": PUSH_ID,
            "seed": seed,
            "first_index": first,
            "version": VERSION,
        }
        write_shard(shard_path(folder, index), render_sequences(env, demonstrations), attributes)
    finally:
        env.close()


def _write_dmc_shard(task: str, folder: Path, seed: int, index: int) -> None:
    from envs.suite import SuiteEnv
    from envs.suite_data import EPISODE_FRAMES, draw_sequences

    env = SuiteEnv(task)
    try:
        first = index * SHARD_SIZE
        attributes: dict[str, Scalar] = {
            "environment": env.task.id,
            "seed": seed,
            "first_index": first,
            "version": SUITE_VERSION,
            "camera": env.task.camera,
            "action_repeat": env.task.action_repeat,
            "episode_length": EPISODE_FRAMES,
            "observation": env.observation_size,
            "bodies": ",".join(env.bodies),
        }
        write_shard(shard_path(folder, index), draw_sequences(env, seed, first, SHARD_SIZE), attributes)
    finally:
        env.close()


def main() -> None:
    """Command line entry point."""
    # The last two have no defaults: nobody else can know where the data lies.
    choices = Push | Brownian | Dmc | Agents | Basketball | Human36m
    arguments = tyro.cli(choices, prog="python -m envs.collect", description=__doc__)
    try:
        _start(arguments)
    except DataError as error:
        raise SystemExit(str(error)) from error


def _start(arguments: Push | Brownian | Dmc | Agents | Basketball | Human36m) -> None:
    if isinstance(arguments, Push):
        collect_push(arguments)
    elif isinstance(arguments, Brownian):
        collect_brownian(arguments)
    elif isinstance(arguments, Dmc):
        collect_dmc(arguments)
    elif isinstance(arguments, Agents):
        collect_agents(arguments)
    else:
        collect_owned(arguments)


if __name__ == "__main__":
    main()
