"""Collect data: ``python -m envs.collect push --out data/push --sequences 50000 --workers 2``.

``push-play`` records pushing without a goal, ``dmc`` makes one folder per DM Control task, ``brownian`` and
``agents`` need no simulator. They write shards
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

from envs import PUSH_ID, shards
from envs.suite_tasks import TASKS, find_task
from world_models.data import DataError, Scalar, read_attributes, shard_path

ALL = "all"


@dataclass(frozen=True)
class Shards:
    """Data that is made here."""

    out: Path
    """Folder of the shards."""
    sequences: int
    """How many sequences; rounded up to whole shards of 250."""
    seed: int = 0
    workers: int = os.cpu_count() or 1


@dataclass(frozen=True)
class Push(Shards):
    """Demonstrations of pushing the puck round the wall, 31 frames each."""

    out: Path = Path("data/push")
    sequences: int = 50_000


@dataclass(frozen=True)
class PushPlay(Shards):
    """Pushing without a goal, at the rate of control, 20 frames each."""

    out: Path = Path("data/push-play")
    sequences: int = 20_000


@dataclass(frozen=True)
class Brownian(Shards):
    """Structured Brownian motion: a disc that flies straight and turns after 6 to 8 frames. 35 frames."""

    out: Path = Path("data/brownian")
    sequences: int = 20_000


@dataclass(frozen=True)
class Dmc(Shards):
    """DM Control tasks under random actions, with rewards: one folder per task, 20 frames a sequence."""

    out: Path = Path("data/dmc")
    """The shards of a task go into a folder of its name in here."""
    sequences: int = 6_500
    """How many sequences of every task; rounded up to whole shards of 250."""
    task: str = ALL
    """One task such as cartpole-balance, or all of them one after the other."""


@dataclass(frozen=True)
class Agents(Shards):
    """Five players and a ball seen from above, who react to each other. 20 frames."""

    out: Path = Path("data/agents")
    sequences: int = 8_000


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
    _collect(arguments, shards.push, PUSH_ID, shards.PUSH_VERSION)


def collect_push_play(arguments: PushPlay) -> None:
    """Make every shard of play that is not there yet."""
    _collect(arguments, shards.push_play, PUSH_ID, shards.PLAY_VERSION)


def collect_brownian(arguments: Brownian) -> None:
    """Make every shard of Structured Brownian motion that is not there yet."""
    _collect(arguments, shards.brownian, shards.BROWNIAN_ID, shards.BROWNIAN_VERSION)


def collect_dmc(arguments: Dmc) -> None:
    """Make every shard that is not there yet, of one task or of all."""
    try:
        tasks = list(TASKS.values()) if arguments.task == ALL else [find_task(arguments.task)]
    except ValueError as error:
        raise SystemExit(f"{error}; or {ALL}") from error
    for task in tasks:
        folder = replace(arguments, out=arguments.out / task.name)
        _collect(folder, partial(shards.dmc, task.name), task.id, shards.SUITE_VERSION)


def collect_agents(arguments: Agents) -> None:
    """Make every shard of players and ball that is not there yet."""
    _collect(arguments, shards.agents, shards.AGENTS_ID, shards.AGENTS_VERSION)


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
    arguments: Shards,
    write: Callable[[Path, int, int], None],
    environment: str,
    version: int,
) -> None:
    """``write(folder, seed, index)`` for every missing shard, with a progress bar over sequences."""
    if arguments.sequences < 1 or arguments.workers < 1 or arguments.seed < 0:
        raise SystemExit("--sequences and --workers must be at least 1, --seed at least 0")
    count = -(-arguments.sequences // shards.SIZE)
    wanted: dict[str, Scalar] = {"environment": environment, "seed": arguments.seed, "version": version}
    missing = [index for index in range(count) if not _is_done(shard_path(arguments.out, index), wanted)]
    bar = tqdm(total=count * shards.SIZE, initial=(count - len(missing)) * shards.SIZE, unit="seq")
    bar.set_description(arguments.out.name)
    context = multiprocessing.get_context("spawn")
    with bar, ProcessPoolExecutor(arguments.workers, mp_context=context) as pool:
        jobs = [pool.submit(write, arguments.out, arguments.seed, index) for index in missing]
        try:
            for job in as_completed(jobs):
                job.result()
                bar.update(shards.SIZE)
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


def main() -> None:
    """Command line entry point."""
    # The last two have no defaults: nobody else can know where the data lies.
    choices = Push | PushPlay | Brownian | Dmc | Agents | Basketball | Human36m
    arguments = tyro.cli(choices, prog="python -m envs.collect", description=__doc__)
    try:
        _start(arguments)
    except DataError as error:
        raise SystemExit(str(error)) from error


def _start(arguments: Push | PushPlay | Brownian | Dmc | Agents | Basketball | Human36m) -> None:
    match arguments:
        case Push():
            collect_push(arguments)
        case PushPlay():
            collect_push_play(arguments)
        case Brownian():
            collect_brownian(arguments)
        case Dmc():
            collect_dmc(arguments)
        case Agents():
            collect_agents(arguments)
        case _:
            collect_owned(arguments)


if __name__ == "__main__":
    main()
