"""How imagination goes astray: errors of bodies and of rewards against the horizon, run beside run.

``python -m world_models.evaluate imagination --runs struct-vrnn-dmc-0 longer-0 --out imagination.json`` puts
trainings that differ in anything side by side; the first run is what the others are measured against.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from world_models.files import write_results
from world_models.struct_vrnn.evaluation.arms import ArmRun, ArmsEvaluation, common_tasks
from world_models.struct_vrnn.evaluation.table import to_markdown
from world_models.struct_vrnn.evaluation.tracking import RIDGE, Regression, Truth, mean_future, read_truth
from world_models.struct_vrnn.model import StructVRNN
from world_models.struct_vrnn.rewards.card import Result
from world_models.struct_vrnn.rewards.data import held_out_features, read_run
from world_models.struct_vrnn.rewards.recipe import RewardRecipe
from world_models.struct_vrnn.rewards.run import cached_labels, read_recipe, train_heads
from world_models.training.fit import PositiveInt

HORIZONS = (1, 2, 4, 8, 12)
"""Imagined frames whose errors the table shows, where sequences are as long."""
KINDS = {"bodies": "error of bodies, px", "rewards": "reward MSE / null"}
Row = dict[str, Any]


class ImaginationEvaluation(ArmsEvaluation):
    """The table of errors by horizon."""

    runs: tuple[str, ...] = Field(min_length=1)
    """Names of runs; all others are compared with the first."""
    data: Path = Path("data/dmc")
    """Folder with one folder of sequences per task."""
    out: Path = Path("imagination.json")
    """JSON file to write."""
    sequences: PositiveInt = 1000
    """How many are tested: the last ones."""
    fitted: PositiveInt = 500
    """How many, before these, fit the regression from features to positions."""
    recipe: RewardRecipe = RewardRecipe()
    """How reward heads learn, the same for all runs; also how many frames are observed."""


def evaluate_imagination(job: ImaginationEvaluation, command: str) -> dict[str, Any]:
    """Train missing heads, measure, write ``job.out`` and answer what was written.

    Raises:
        CheckpointError: a model is damaged.
        DataError: the data is missing, does not fit the models or has neither bodies nor rewards.
        ValueError: a run is missing or unfinished, or the runs know different tasks.
    """
    folders = [job.runs_folder / name for name in job.runs]
    for folder in folders:
        read_recipe(folder)
    runs = [ArmRun(name, 0, folder) for name, folder in zip(job.runs, folders, strict=True)]
    tasks = common_tasks(runs, job.data)
    torch.set_num_threads(job.threads)
    device, labels, observed = torch.device(job.device), cached_labels(job.recipe), job.recipe.observed
    truths = {task.name: read_truth(task, job.fitted, job.sequences, 1) for task in tasks}
    rows = list[Row]()
    for run in runs:
        model = StructVRNN.load(run.folder / "model", device)
        results = train_heads(
            read_run(run.folder, observed, device), tasks, labels, job.recipe, command, device
        )
        for task in tasks:
            features = held_out_features(run.folder, model, task, device)[-(job.fitted + job.sequences) :]
            bodies, held = horizon_errors(model, truths[task.name], features, observed)
            rewards = reward_errors(results[task.name], observed)
            errors = {"bodies": bodies, "rewards": rewards, "held": held}
            rows.append({"run": run.arm, "task": task.name, **errors})
    content = {"protocol": _protocol(job, command), "rows": rows}
    return write_results(job.out, "world_models.evaluate imagination", content, markdown_tables(content))


@torch.no_grad()
def horizon_errors(
    model: StructVRNN, truth: Truth, features: Float[Tensor, "n T F"], observed: int
) -> tuple[list[float], list[float]]:
    """Mean distance of bodies to where they are, in pixels, at every imagined frame: as imagined with the
    prior's means, and if they had stayed where they were last seen.
    """
    regression = Regression.fit(model.config, features[: truth.fitted], truth.positions[: truth.fitted])
    seen, positions = features[truth.fitted :], truth.positions[truth.fitted :, observed:]
    future = regression(mean_future(model, seen, truth.actions[truth.fitted :], observed))
    held = regression(seen[:, observed - 1 : observed])
    imagined, still = ((found - positions).norm(dim=-1).mean((0, 2)) for found in (future, held))
    return imagined.tolist(), still.tolist()


def reward_errors(result: Result, observed: int) -> list[float]:
    """Squared error of rewards over that of the null model, at every imagined frame."""
    ratios: NDArray[np.float64] = np.array(result["head"]["per_step"]) / np.array(result["null"]["per_step"])
    found: list[float] = ratios[observed:].tolist()
    return found


def markdown_tables(content: Mapping[str, Any]) -> str:
    """Errors by horizon, means over tasks; then errors at the last frame by task, over the first run's."""
    rows = content["rows"]
    runs, tasks = (list(dict.fromkeys(row[key] for row in rows)) for key in ("run", "task"))
    length = len(rows[0]["bodies"])
    shown = [horizon for horizon in HORIZONS if horizon < length] + [length]
    parts = []
    for kind, title in KINDS.items():
        lines = [[f"{title}, after so many frames", *map(str, shown), "at the last, over the first run's"]]
        for run in runs:
            means = _mean(rows, run, kind)
            ratio = means[-1] / _mean(rows, runs[0], kind)[-1]
            lines.append([run, *(f"{means[horizon - 1]:.3f}" for horizon in shown), f"{ratio:.2f}"])
        if kind == "bodies":
            held = _mean(rows, runs[0], "held")
            lines.append([f"held ({runs[0]})", *(f"{held[horizon - 1]:.3f}" for horizon in shown), "-"])
        parts.append(to_markdown(lines))
    for kind, title in KINDS.items():
        last = {(row["run"], row["task"]): row[kind][-1] for row in rows}
        lines = [[f"{title}, at the last frame, over {runs[0]}'s", *tasks]]
        for run in runs:
            ratios = [last[run, task] / last[runs[0], task] for task in tasks]
            lines.append(
                [run, *(f"{last[run, task]:.3f} ({r:.2f})" for task, r in zip(tasks, ratios, strict=True))]
            )
        parts.append(to_markdown(lines))
    return "\n\n".join(parts)


def _mean(rows: Sequence[Row], run: str, kind: str) -> NDArray[np.float64]:
    means: NDArray[np.float64] = np.mean([row[kind] for row in rows if row["run"] == run], axis=0)
    return means


def _protocol(job: ImaginationEvaluation, command: str) -> dict[str, Any]:
    """How the numbers came about."""
    return {
        "command": command,
        "observed": job.recipe.observed,
        "tested": job.sequences,
        "fitted": job.fitted,
        "ridge": RIDGE,
        "head": job.recipe.model_dump(mode="json"),
        "bodies": "mean distance in pixels, prior means under the true actions, read by a ridge regression",
        "rewards": "mean squared error of the run's own heads over that of the null model, frame by frame",
    }
