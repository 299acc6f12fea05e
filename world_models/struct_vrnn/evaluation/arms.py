"""The trained arms of a comparison: which runs there are, and what they are tested on."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from world_models.struct_vrnn.presets import DMC_ARMS
from world_models.struct_vrnn.rewards.run import read_finished
from world_models.struct_vrnn.sequences import TaskData, open_tasks
from world_models.training.fit import PositiveInt


class ArmsEvaluation(BaseModel):
    """What the settings of all tables of trained runs have in common."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    runs_folder: Path = Path("runs")
    """Where the runs ``<preset>-<seed>`` are; what a table needs of them and they lack is made there."""
    device: str = "cpu"
    """``cpu``, ``cuda``, ..."""
    threads: PositiveInt = 1
    """CPU threads; one per process is fastest when cores are shared."""


@dataclass(frozen=True)
class ArmRun:
    """A finished run of an arm."""

    arm: str
    seed: int
    folder: Path


def find_runs(folder: Path, arms: Mapping[str, str] = DMC_ARMS) -> list[ArmRun]:
    """The finished runs ``<preset>-<seed>`` of all arms, by arm and seed.

    Args:
        folder: where they are.
        arms: the preset of every arm, in the order of the answer.

    Raises:
        ValueError: there is none.
    """
    runs = []
    for arm, preset in arms.items():
        for path in folder.glob(f"{preset}-*/model/config.json"):
            if match := re.fullmatch(rf"{preset}-(\d+)", path.parents[1].name):
                runs.append(ArmRun(arm, int(match[1]), path.parents[1]))
    if not runs:
        first = next(iter(arms.values()))
        raise ValueError(
            f"{folder} has no finished run of {', '.join(arms.values())}; `python -m world_models.train "
            f"{first} --seed 0 --out {folder / first}-0` makes one"
        )
    return sorted(runs, key=lambda run: (list(arms).index(run.arm), run.seed))


def common_tasks(runs: Sequence[ArmRun], data: Path) -> list[TaskData]:
    """The tasks of all runs; what is compared must be tested on the same sequences.

    Raises:
        DataError: the data is missing or does not fit the models.
        ValueError: a run is not finished, or they know different tasks or hold out different numbers of
            sequences.
    """
    recipes = [read_finished(run.folder) for run in runs]
    first = recipes[0]
    different = [
        str(run.folder)
        for run, recipe in zip(runs, recipes, strict=True)
        if (recipe.model.tasks, recipe.held_out) != (first.model.tasks, first.held_out)
    ]
    if different:
        raise ValueError(
            f"{', '.join(different)} and {runs[0].folder} know different tasks or hold out different "
            "numbers of sequences, so they cannot be compared"
        )
    return open_tasks(data, first.model, first.held_out)
