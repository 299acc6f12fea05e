"""The table of reward prediction: all arms on all tasks, beside the null model and the true states.

``python -m world_models.evaluate rewards --out rewards.json`` finds the trained runs of every arm, trains the
heads that they lack, and writes one row per arm, task and seed.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from world_models.data import read_attributes
from world_models.files import write_results
from world_models.statistics import cluster_draws, percentiles
from world_models.struct_vrnn.evaluation.arms import ArmsEvaluation, common_tasks, find_runs
from world_models.struct_vrnn.rewards.card import Result
from world_models.struct_vrnn.rewards.data import read_run, read_truth
from world_models.struct_vrnn.rewards.figures import curves
from world_models.struct_vrnn.rewards.recipe import RewardRecipe
from world_models.struct_vrnn.rewards.run import cached_labels, train_heads
from world_models.struct_vrnn.sequences import TaskData

NULL, ORACLE = "null", "state-oracle"
ORACLE_SEEDS = 1
Row = dict[str, Any]


class RewardEvaluation(ArmsEvaluation):
    """The table of reward prediction."""

    data: Path = Path("data/dmc")
    """Folder with one folder of sequences per task."""
    out: Path = Path("rewards.json")
    """JSON file to write."""
    plot: Path | None = None
    """PNG of the error over time to draw."""
    recipe: RewardRecipe = RewardRecipe()
    """How a head learns, the same for all arms."""


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
    summary = summarise(rows)
    for row in rows:
        del row["errors"], row["null_errors"]  # of every sequence: they are kept in the runs' folders
    content = {"protocol": _protocol(job, tasks, command), "summary": summary, "rows": rows}
    written = write_results(job.out, "world_models.evaluate rewards", content, markdown_table(content))
    if job.plot is not None:
        curves(rows, recipe.observed, job.plot)
    return written


def _row(arm: str, task: str, seed: int, result: Result, which: str) -> Row:
    """Errors over those of the null model: at every frame, their mean ``mse_over_null``, and ``pooled``: the
    whole error over the whole error of the null model. ``errors`` and ``null_errors`` are those of every
    test sequence over the mean of the null model, whose means are ``mse_over_null`` and 1.
    """
    mine, null = result[which], result[NULL]
    return {
        "arm": arm,
        "task": task,
        "seed": seed,
        "mse": mine["mse"],
        "mse_over_null": mine["over_null"],
        "se": mine["se"],
        "errors": mine["sequences"],
        "null_errors": null["sequences"],
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
        "intervals": "95 % bootstrap: every draw takes seeds and whole test sequences anew, and measures "
        "null model and oracle on the same ones",
        "pooled": "mean squared error over all frames, divided by that of the null model over all frames",
        "states": "posterior means where frames are seen, prior means under the true actions after that",
        ORACLE: "the same head on the task's true observation at every frame, imagined ones too",
        "data": {task.name: read_attributes(task.sequences.paths[0]) for task in tasks},
    }


def summarise(rows: Sequence[Row]) -> dict[str, Any]:
    """Means over tasks, what arms close of the distance from null to oracle, and who wins where.

    ``arms`` has for every arm the ``mean``, ``closed`` and the errors by ``tasks``, means over seeds, each as
    (value, low, high): a 95 % bootstrap interval over seeds and whole sequences, on which null model and
    oracle are measured too; the bounds are None where a value is what it is by definition. ``closed`` is the
    mean over tasks of (1 - error) / (1 - error of the oracle). ``struct_vrnn_beats_cnn_vrnn`` names the tasks
    where its mean is lower, ``apart`` those where the intervals do not meet either; None where an arm is
    missing.
    """
    tasks = [*dict.fromkeys(row["task"] for row in rows)]
    oracle = np.array([_mean(rows, ORACLE, task) for task in tasks])[:, None], _draws(rows, ORACLE, tasks)
    arms = {}
    for arm in dict.fromkeys(row["arm"] for row in rows):
        means = np.array([_mean(rows, arm, task) for task in tasks])
        draws = _draws(rows, arm, tasks)
        closed = [(1 - one) / (1 - best) for one, best in zip((means[:, None], draws), oracle, strict=True)]
        arms[arm] = {
            "seeds": len({row["seed"] for row in rows if row["arm"] == arm}),
            "mean": _bounded(means.mean(), draws.mean(0), arm == NULL),
            "closed": _bounded(closed[0].mean(), closed[1].mean(0), arm in (NULL, ORACLE)),
            "tasks": {
                task: _bounded(mean, drawn, arm == NULL)
                for task, mean, drawn in zip(tasks, means, draws, strict=True)
            },
        }
    return {"arms": arms, **_wins(arms, "struct-vrnn", "cnn-vrnn")}


def _select(rows: Sequence[Row], arm: str, task: str) -> list[Row]:
    return [row for row in rows if (row["arm"], row["task"]) == (arm, task)]


def _mean(rows: Sequence[Row], arm: str, task: str) -> float:
    """Error over null of an arm, mean over seeds."""
    return float(np.mean([row["mse_over_null"] for row in _select(rows, arm, task)]))


def _draws(rows: Sequence[Row], arm: str, tasks: Sequence[str]) -> NDArray[np.float64]:
    """Bootstrap draws of an arm's errors over null ``[tasks, draws]``.

    A draw with more of the sequences whose rewards are hard to guess has larger errors of both, so it is
    divided by the null model's error on the same sequences.
    """
    draws = []
    for stream, task in enumerate(tasks):
        found = _select(rows, arm, task)
        mine, null = (
            cluster_draws(np.array([row[name] for row in found]), stream)
            for name in ("errors", "null_errors")
        )
        draws.append(mine / null)
    return np.stack(draws)


def _bounded(value: float, draws: NDArray[np.float64], defined: bool) -> list[float | None]:
    """A value and its interval, for which there is no need where the value is defined to be so."""
    return [float(value), *((None, None) if defined else percentiles(draws))]


def _wins(arms: Mapping[str, Mapping[str, Any]], one: str, other: str) -> dict[str, list[str] | None]:
    if one not in arms or other not in arms:
        return {"struct_vrnn_beats_cnn_vrnn": None, "apart": None}
    pairs = {task: (found, arms[other]["tasks"][task]) for task, found in arms[one]["tasks"].items()}
    better = [task for task, (mine, theirs) in pairs.items() if mine[0] < theirs[0]]
    apart = [task for task in better if pairs[task][0][2] < pairs[task][1][1]]
    return {"struct_vrnn_beats_cnn_vrnn": better, "apart": apart}


def markdown_table(content: Mapping[str, Any]) -> str:
    """What :func:`evaluate_rewards` answers as people read it: means over seeds, 95 % intervals."""
    summary = content["summary"]
    tasks = list(dict.fromkeys(row["task"] for row in content["rows"]))
    lines = [
        f"| MSE / null | seeds | {' | '.join(tasks)} | mean | closed |",
        "|" + "---|" * (len(tasks) + 4),
    ]
    for arm, figures in summary["arms"].items():
        values = [*figures["tasks"].values(), figures["mean"], figures["closed"]]
        lines.append(f"| {arm} | {figures['seeds']} | {' | '.join(_cell(*each) for each in values)} |")
    better, apart = summary["struct_vrnn_beats_cnn_vrnn"], summary["apart"]
    if better is not None:
        lines += [
            "",
            f"struct-vrnn is better than cnn-vrnn on {len(better)} of {len(tasks)} tasks, with intervals "
            f"apart on {len(apart)}.",
        ]
    return "\n".join(lines)


def _cell(value: float, low: float | None, high: float | None) -> str:
    return f"{value:.3f}" if low is None else f"{value:.3f} ({low:.3f} to {high:.3f})"
