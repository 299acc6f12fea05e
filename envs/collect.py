"""Collect data: ``python -m envs.collect push --out data/push --sequences 50000 --workers 2``.

``push-corner`` and ``push-two-pucks`` record tasks with stages, ``push-play`` records pushing without a goal,
``dmc`` makes one folder per DM Control task, ``actions`` a labelled set of a humanoid's behaviours;
``brownian``, ``agents``, ``moved-agents`` (with counterfactuals), ``moving-digits`` and ``cannonballs`` need
no simulator. They write shards as ``push`` does (see :mod:`world_models.data`), one process per core, with
``--ray`` on the machines of a cluster. A run that was interrupted goes on with the first missing shard; the
same seed gives the same bytes whoever draws them. ``basketball``, ``human36m``, ``kth`` and ``bair`` bring
these data sets into this form, if you have them; ``films``, ``hdf5``, ``lerobot`` and ``minari`` bring any
data of yours, ``gym`` records any gymnasium environment (see :mod:`envs.owned`).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tyro
from tqdm import tqdm

from envs import data_set
from envs.data_set import DataSet, Part, Shards, check_made_with
from envs.dmc.behaviours.data_set import ACTIONS
from envs.dmc.data_set import DMC, DMC_LOOKS
from envs.owned.data_sets import BAIR, BASKETBALL, HUMAN36M, KTH
from envs.owned.sources.data_sets import FILMS, GYM, HDF5, LEROBOT, MINARI
from envs.push.data_sets import PUSH, PUSH_LOOKS, PUSH_PLAY, PUSH_PUBLISHED
from envs.push.staged.data_sets import PUSH_CORNER, PUSH_TWO_PUCKS
from envs.videos.data_sets import AGENTS, BROWNIAN, CANNONBALLS, MOVED_AGENTS, MOVING_DIGITS
from world_models.data import Scalar, shard_path
from world_models.jobs.command import Failure, command
from world_models.jobs.outputs import check_folder
from world_models.jobs.workers import Job, run_jobs

DATA_SETS: Sequence[DataSet] = (
    PUSH,
    PUSH_PLAY,
    BROWNIAN,
    DMC,
    DMC_LOOKS,
    ACTIONS,
    AGENTS,
    MOVED_AGENTS,
    MOVING_DIGITS,
    CANNONBALLS,
    PUSH_PUBLISHED,
    PUSH_CORNER,
    PUSH_TWO_PUCKS,
    PUSH_LOOKS,
    BASKETBALL,
    HUMAN36M,
    KTH,
    BAIR,
    FILMS,
    HDF5,
    LEROBOT,
    MINARI,
    GYM,
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
    check_folder("--out", part.out)
    wanted = part.identity(settings.seed)
    missing = [index for index in range(count) if not _is_done(shard_path(part.out, index), wanted)]
    bar = tqdm(total=count * data_set.SIZE, initial=(count - len(missing)) * data_set.SIZE, unit="seq")
    bar.set_description(part.out.name)
    jobs = [(settings.seed, index) for index in missing]
    with bar:

        def drawn(job: Job, _: None) -> None:
            if not (path := shard_path(part.out, job[1])).exists():
                raise Failure(
                    f"{path} was drawn on another machine and is not here; choose an --out that all share"
                )
            bar.update(data_set.SIZE)

        run_jobs(part.write, jobs, drawn, workers=settings.workers, ray=settings.ray)


def _is_done(path: Path, wanted: Mapping[str, Scalar]) -> bool:
    if path.exists():
        check_made_with(path, wanted)
        return True
    return False


@command(resumes=True)
def main() -> None:
    """Command line entry point."""
    settings = tyro.extras.subcommand_cli_from_dict(
        {one.name: one.settings for one in DATA_SETS}, prog="python -m envs.collect", description=__doc__
    )
    collect(settings)


if __name__ == "__main__":
    main()
