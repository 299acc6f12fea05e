"""Collect data: ``python -m envs.collect push --out data/push --sequences 50000 --workers 2``.

``push-play`` records pushing without a goal, ``dmc`` makes one folder per DM Control task, ``brownian``,
``agents``, ``moving-digits`` and ``cannonballs`` need no simulator. They write shards
as ``push`` does (see :mod:`world_models.data`), one process per core. A run that was interrupted goes on with
the first missing shard; the same seed gives the same bytes whatever the number of workers. ``basketball``,
``human36m``, ``kth`` and ``bair`` bring data of yours into this form (see :mod:`envs.owned`).
"""

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import tyro
from tqdm import tqdm

from envs import data_set
from envs.data_set import DataSet, Part, Shards
from envs.dmc.data_set import DMC
from envs.owned.data_sets import BAIR, BASKETBALL, HUMAN36M, KTH
from envs.push.data_sets import PUSH, PUSH_PLAY
from envs.videos.data_sets import AGENTS, BROWNIAN, CANNONBALLS, MOVING_DIGITS
from world_models.data import DataError, Scalar, read_attributes, shard_path

DATA_SETS: Sequence[DataSet] = (
    PUSH,
    PUSH_PLAY,
    BROWNIAN,
    DMC,
    AGENTS,
    MOVING_DIGITS,
    CANNONBALLS,
    BASKETBALL,
    HUMAN36M,
    KTH,
    BAIR,
)


def collect(settings: Any) -> None:
    """Make every shard of a data set that is not there yet, whichever of :data:`DATA_SETS` it is of.

    Raises:
        ValueError: a setting is wrong, or shards of other settings stand in the way.
        DataError: what was to be read is missing or damaged.
    """
    chosen = next(one for one in DATA_SETS if type(settings) is one.settings)
    for part in chosen.collect(settings) or ():
        draw(part, settings)


def draw(part: Part, settings: Shards) -> None:
    """Draw every missing shard of a folder, with a progress bar over sequences. Raises likewise."""
    if settings.sequences < 1 or settings.workers < 1 or settings.seed < 0:
        raise ValueError("--sequences and --workers must be at least 1, --seed at least 0")
    count = -(-settings.sequences // data_set.SIZE)
    wanted: dict[str, Scalar] = {**part.origin, "seed": settings.seed}
    missing = [index for index in range(count) if not _is_done(shard_path(part.out, index), wanted)]
    bar = tqdm(total=count * data_set.SIZE, initial=(count - len(missing)) * data_set.SIZE, unit="seq")
    bar.set_description(part.out.name)
    context = multiprocessing.get_context("spawn")
    with bar, ProcessPoolExecutor(settings.workers, mp_context=context) as pool:
        jobs = [pool.submit(part.write, settings.seed, index) for index in missing]
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
        raise ValueError(
            f"{path} was made with {made}, not with {asked}; choose another --out or the same settings"
        )
    return True


def main() -> None:
    """Command line entry point."""
    settings = tyro.extras.subcommand_cli_from_dict(
        {one.name: one.settings for one in DATA_SETS}, prog="python -m envs.collect", description=__doc__
    )
    try:
        collect(settings)
    except (DataError, ValueError) as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
