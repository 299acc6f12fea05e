"""The trained arms of a comparison: which runs there are, and what they are tested on."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from world_models.struct_vrnn.presets import DMC_ARMS
from world_models.struct_vrnn.rewards.run import read_recipe
from world_models.struct_vrnn.sequences import TaskData, open_tasks


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
        ValueError: the runs know different tasks or hold out different numbers of sequences.
    """
    recipes = {run.folder.name: read_recipe(run.folder) for run in runs}
    first = recipes[runs[0].folder.name]
    different = [
        name
        for name, recipe in recipes.items()
        if (recipe.model.tasks, recipe.held_out) != (first.model.tasks, first.held_out)
    ]
    if different:
        raise ValueError(
            f"{', '.join(different)} and {runs[0].folder.name} know different tasks or hold out different "
            "numbers of sequences, so they cannot be compared"
        )
    return open_tasks(data, first.model, first.held_out)
