"""The table of reward prediction: all arms on all tasks, beside the null model and the true states.

``python -m world_models.evaluate rewards --out rewards.json`` finds the trained runs of every arm, trains the
heads that they lack, and writes one row per arm, task and seed.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict

from world_models.data import read_attributes
from world_models.files import write_results
from world_models.statistics import mean_and_interval
from world_models.struct_vrnn.rewards.card import Result
from world_models.struct_vrnn.rewards.data import read_run, read_truth
from world_models.struct_vrnn.rewards.figures import curves
from world_models.struct_vrnn.rewards.recipe import RewardRecipe
from world_models.struct_vrnn.rewards.run import cached_labels, read_recipe, train_heads
from world_models.struct_vrnn.sequences import TaskData, open_tasks

ARMS = {
    "struct-vrnn": "struct-vrnn-dmc",
    "no-bom": "struct-vrnn-dmc-no-bom",
    "struct-rnn": "struct-rnn-dmc",
    "cnn-vrnn": "cnn-vrnn-dmc",
}
"""Presets of the trained arms, in the order of the table."""
NULL, ORACLE = "null", "state-oracle"
ORACLE_SEEDS = 1
Row = dict[str, Any]


class RewardEvaluation(BaseModel):
    """The table of reward prediction."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: Path = Path("data/dmc")
    """Folder with one folder of sequences per task."""
    runs_folder: Path = Path("runs")
    """Where the runs ``<preset>-<seed>`` of the arms are; missing heads are trained there."""
    out: Path = Path("rewards.json")
    """JSON file to write."""
    plot: Path | None = None
    """PNG of the error over time to draw."""
    device: str = "cpu"
    """``cpu``, ``cuda``, ..."""
    threads: int = 1
    """CPU threads; one per process is fastest when cores are shared."""
    recipe: RewardRecipe = RewardRecipe()
    """How a head learns, the same for all arms."""


@dataclass(frozen=True)
class ArmRun:
    """A finished run of an arm."""

    arm: str
    seed: int
    folder: Path


def evaluate_rewards(job: RewardEvaluation, command: str) -> dict[str, Any]:
    """Train missing heads, write ``job.out`` and the plot, and answer what was written.

    Raises:
        DataError: the data is missing, does not fit the models or has no rewards.
        ValueError: there is no run, or the runs know different tasks or hold out different sequences.
    """
    runs = find_runs(job.runs_folder)
    tasks = common_tasks(runs, job.data)
    torch.set_num_threads(job.threads)
    device, labels, recipe = torch.device(job.device), cached_labels(job.recipe), job.recipe
    rows, results = list[Row](), dict[str, Result]()
    for run in runs:
        reader = read_run(run.folder, recipe.observed, device)
        results = train_heads(reader, tasks, labels, recipe, command, device)
        rows += [_row(run.arm, task, run.seed, result, "head") for task, result in results.items()]
    rows += [_row(NULL, task, 0, result, NULL) for task, result in results.items()]
    for seed in range(ORACLE_SEEDS):
        reader = read_truth(job.runs_folder / f"{ORACLE}-{seed}", seed)
        results = train_heads(reader, tasks, labels, recipe, command, device)
        rows += [_row(ORACLE, task, seed, result, "head") for task, result in results.items()]
    content = {"protocol": _protocol(job, tasks, command), "summary": summarise(rows), "rows": rows}
    written = write_results(job.out, "world_models.evaluate rewards", content, markdown_table(content))
    if job.plot is not None:
        curves(rows, recipe.observed, job.plot)
    return written


def find_runs(folder: Path, arms: Mapping[str, str] = ARMS) -> list[ArmRun]:
    """The finished runs ``<preset>-<seed>`` of all arms, by arm and seed.

    Raises:
        ValueError: there is none.
    """
    runs = []
    for arm, preset in arms.items():
        for path in folder.glob(f"{preset}-*/model/config.json"):
            if match := re.fullmatch(rf"{preset}-(\d+)", path.parents[1].name):
                runs.append(ArmRun(arm, int(match[1]), path.parents[1]))
    if not runs:
        raise ValueError(
            f"{folder} has no finished run of {', '.join(arms.values())}; `python -m world_models.train "
            f"struct-vrnn-dmc --seed 0 --out {folder / 'struct-vrnn-dmc-0'}` makes one"
        )
    return sorted(runs, key=lambda run: (list(arms).index(run.arm), run.seed))


def common_tasks(runs: Sequence[ArmRun], data: Path) -> list[TaskData]:
    """The tasks of all runs; what is compared must be tested on the same sequences."""
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


def _row(arm: str, task: str, seed: int, result: Result, which: str) -> Row:
    """Errors over those of the null model: at every frame, their mean ``mse_over_null``, and ``pooled``: the
    whole error over the whole error of the null model.
    """
    mine, null = result[which], result[NULL]
    return {
        "arm": arm,
        "task": task,
        "seed": seed,
        "mse": mine["mse"],
        "mse_over_null": mine["over_null"],
        "se": mine["se"],
        "pooled": mine["mse"] / null["mse"],
        "n": result["n"],
        "per_step": (np.array(mine["per_step"]) / np.array(null["per_step"])).tolist(),
    }


def _protocol(job: RewardEvaluation, tasks: Sequence[TaskData], command: str) -> dict[str, Any]:
    """How the numbers came about."""
    first = tasks[0]
    frames = first.sequences.shapes["frames"][0]
    return {
        "command": command,
        "observed": job.recipe.observed,
        "imagined": frames - job.recipe.observed,
        "head": job.recipe.model_dump(mode="json"),
        "trained_on": len(first.sequences) - job.recipe.tested,
        "mse_over_null": "mean squared error at a frame, divided by that of the null model at this frame "
        "(the mean reward, over all frames, of the sequences that train the head), averaged over frames",
        "se": "standard error of mse_over_null over test sequences",
        "pooled": "mean squared error over all frames, divided by that of the null model over all frames",
        "states": "posterior means where frames are seen, prior means under the true actions after that",
        ORACLE: "the same head on the task's true observation at every frame, imagined ones too",
        "data": {task.name: read_attributes(task.sequences.paths[0]) for task in tasks},
    }


def summarise(rows: Sequence[Row]) -> dict[str, Any]:
    """Means over tasks, what arms close of the distance from null to oracle, and who wins where.

    For every arm ``mean`` and ``closed`` with the half width of the 95 % t-interval over seeds (None with
    one seed). ``closed`` is the mean over tasks of (1 - error) / (1 - error of the oracle).
    """
    by_arm = {arm: _errors(rows, arm) for arm in dict.fromkeys(row["arm"] for row in rows)}
    oracle = {task: float(np.mean([*seeds.values()])) for task, seeds in by_arm[ORACLE].items()}
    arms = {}
    for arm, errors in by_arm.items():
        seeds = sorted(set.intersection(*(set(of_task) for of_task in errors.values())))
        means = [float(np.mean([errors[task][seed] for task in errors])) for seed in seeds]
        closed = [
            float(np.mean([(1 - errors[task][seed]) / (1 - oracle[task]) for task in errors]))
            for seed in seeds
        ]
        (mean, mean_half), (share, share_half) = mean_and_interval(means), mean_and_interval(closed)
        arms[arm] = {"mean": mean, "mean_ci95": mean_half, "closed": share, "closed_ci95": share_half}
    return {"arms": arms, "struct_vrnn_beats_cnn_vrnn": _wins(by_arm, "struct-vrnn", "cnn-vrnn")}


def _errors(rows: Iterable[Row], arm: str) -> dict[str, dict[int, float]]:
    """Errors over null of an arm by task and seed."""
    errors = dict[str, dict[int, float]]()
    for row in rows:
        if row["arm"] == arm:
            errors.setdefault(row["task"], {})[row["seed"]] = row["mse_over_null"]
    return errors


def _wins(by_arm: Mapping[str, Mapping[str, Mapping[int, float]]], one: str, other: str) -> list[str] | None:
    """Tasks on which one arm's mean over seeds is lower; None where an arm is missing."""
    if one not in by_arm or other not in by_arm:
        return None
    means = {arm: {task: np.mean([*s.values()]) for task, s in by_arm[arm].items()} for arm in (one, other)}
    return [task for task in means[one] if means[one][task] < means[other][task]]


def markdown_table(content: Mapping[str, Any]) -> str:
    """What :func:`evaluate_rewards` answers as people read it: means over seeds ± half a 95 % t-interval."""
    rows, summary = content["rows"], content["summary"]
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    lines = [
        f"| MSE / null | seeds | {' | '.join(tasks)} | mean | closed |",
        "|" + "---|" * (len(tasks) + 4),
    ]
    for arm, figures in summary["arms"].items():
        errors = _errors(rows, arm)
        cells = [_cell(*mean_and_interval([*errors[task].values()])) for task in tasks]
        cells.append(_cell(figures["mean"], figures["mean_ci95"]))
        cells.append(_cell(figures["closed"], figures["closed_ci95"]))
        lines.append(f"| {arm} | {len(errors[tasks[0]])} | {' | '.join(cells)} |")
    wins = summary["struct_vrnn_beats_cnn_vrnn"]
    if wins is not None:
        lines += ["", f"struct-vrnn is better than cnn-vrnn on {len(wins)} of {len(tasks)} tasks."]
    return "\n".join(lines)


def _cell(mean: float, half: float | None) -> str:
    return f"{mean:.3f}" if half is None else f"{mean:.3f} ± {half:.3f}"
