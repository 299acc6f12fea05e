"""Collect data: ``python -m envs.collect push --out data/push --sequences 50000 --workers 2``.

``push-play`` records pushing without a goal, ``dmc`` makes one folder per DM Control task, ``brownian``,
``agents``, ``moving-digits`` and ``cannonballs`` need no simulator. They write shards
as ``push`` does (see :mod:`world_models.data`), one process per core. A run that was interrupted goes on with
the first missing shard; the same seed gives the same bytes whatever the number of workers. ``basketball``,
``human36m``, ``kth`` and ``bair`` bring data of yours into this form (see :mod:`envs.owned.shards`).
"""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from functools import partial
from pathlib import Path

import tyro
from tqdm import tqdm

from envs import data_set
from envs.data_sets import (
    ALL,
    Agents,
    Bair,
    Basketball,
    Brownian,
    Cannonballs,
    Choices,
    Dmc,
    Human36m,
    Kth,
    MovingDigits,
    Owned,
    Push,
    PushPlay,
    Shards,
)
from envs.dmc.tasks import TASKS, find_task
from envs.push.ids import PUSH_ID
from envs.videos import cannonballs, moving_digits
from world_models.data import DataError, Scalar, read_attributes, shard_path


def collect_push(arguments: Push) -> None:
    """Make every shard of demonstrations that is not there yet."""
    _collect(arguments, data_set.push, PUSH_ID, data_set.PUSH_VERSION)


def collect_push_play(arguments: PushPlay) -> None:
    """Make every shard of play that is not there yet."""
    _collect(arguments, data_set.push_play, PUSH_ID, data_set.PLAY_VERSION)


def collect_brownian(arguments: Brownian) -> None:
    """Make every shard of Structured Brownian motion that is not there yet."""
    _collect(arguments, data_set.brownian, data_set.BROWNIAN_ID, data_set.BROWNIAN_VERSION)


def collect_dmc(arguments: Dmc) -> None:
    """Make every shard that is not there yet, of one task or of all."""
    try:
        tasks = list(TASKS.values()) if arguments.task == ALL else [find_task(arguments.task)]
    except ValueError as error:
        raise SystemExit(f"{error}; or {ALL}") from error
    for task in tasks:
        folder = replace(arguments, out=arguments.out / task.name)
        _collect(folder, partial(data_set.dmc, task.name), task.id, data_set.SUITE_VERSION)


def collect_agents(arguments: Agents) -> None:
    """Make every shard of players and ball that is not there yet."""
    _collect(arguments, data_set.agents, data_set.AGENTS_ID, data_set.AGENTS_VERSION)


def collect_digits(arguments: MovingDigits) -> None:
    """Make every shard of Stochastic Moving Digits that is not there yet.

    Raises:
        DataError: a file of MNIST is missing or malformed.
    """
    _check_frames(arguments.frames)
    videos = moving_digits.Videos(
        arguments.split, arguments.digits, arguments.frames, arguments.shared, arguments.mnist
    )
    write = partial(data_set.digits, videos)
    _collect(arguments, write, data_set.DIGITS_ID, data_set.DIGITS_VERSION, **videos.origin())


def collect_cannonballs(arguments: Cannonballs) -> None:
    """Make every shard of cannonballs that is not there yet, for each number of balls."""
    _check_frames(arguments.frames)
    if arguments.size <= 2 * cannonballs.RADIUS + 1:
        raise SystemExit(f"--size must be greater than {2 * cannonballs.RADIUS + 1}, the width of a ball")
    for count in arguments.balls:
        videos = cannonballs.Videos(count, arguments.frames, arguments.size)
        folder = replace(arguments, out=arguments.out / str(count))
        write = partial(data_set.balls, videos)
        _collect(folder, write, data_set.CANNONBALLS_ID, data_set.CANNONBALLS_VERSION, **videos.origin())


def _check_frames(frames: int) -> None:
    if frames < 2:
        raise SystemExit(f"--frames must be at least 2, got {frames}")


def collect_owned(arguments: Owned) -> None:
    """Write every shard that is not there yet, and say what there is."""
    from envs.owned.bair import collect_bair
    from envs.owned.basketball import collect_basketball
    from envs.owned.human36m import collect_human36m
    from envs.owned.kth import collect_kth

    source, out, frames = arguments.source, arguments.out, arguments.frames
    match arguments:
        case Basketball():
            found = collect_basketball(source, out, frames, arguments.court)
        case Human36m():
            found = collect_human36m(source, out, frames)
        case Kth():
            found = collect_kth(source, out, frames)
        case Bair():
            found = collect_bair(source, out, frames)
    print(f"{found.sequences} sequences in {out}, of which the last {found.test} are for testing")
    if found.left_out:
        print(f"{found.left_out} windows were left out because a body leaves the picture")


def _collect(
    arguments: Shards,
    write: Callable[[Path, int, int], None],
    environment: str,
    version: int,
    **origin: Scalar,
) -> None:
    """``write(folder, seed, index)`` for every missing shard, with a progress bar over sequences."""
    if arguments.sequences < 1 or arguments.workers < 1 or arguments.seed < 0:
        raise SystemExit("--sequences and --workers must be at least 1, --seed at least 0")
    count = -(-arguments.sequences // data_set.SIZE)
    wanted: dict[str, Scalar] = {"environment": environment, "seed": arguments.seed, "version": version}
    wanted |= origin
    missing = [index for index in range(count) if not _is_done(shard_path(arguments.out, index), wanted)]
    bar = tqdm(total=count * data_set.SIZE, initial=(count - len(missing)) * data_set.SIZE, unit="seq")
    bar.set_description(arguments.out.name)
    context = multiprocessing.get_context("spawn")
    with bar, ProcessPoolExecutor(arguments.workers, mp_context=context) as pool:
        jobs = [pool.submit(write, arguments.out, arguments.seed, index) for index in missing]
        try:
            for job in as_completed(jobs):
                job.result()
                bar.update(data_set.SIZE)
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
            f"{path} was made with {made}, not with {asked}; choose another --out or the same settings"
        )
    return True


def main() -> None:
    """Command line entry point."""
    arguments = tyro.cli(Choices, prog="python -m envs.collect", description=__doc__)
    try:
        _start(arguments)
    except DataError as error:
        raise SystemExit(str(error)) from error


def _start(arguments: Choices) -> None:
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
        case MovingDigits():
            collect_digits(arguments)
        case Cannonballs():
            collect_cannonballs(arguments)
        case _:
            collect_owned(arguments)


if __name__ == "__main__":
    main()
