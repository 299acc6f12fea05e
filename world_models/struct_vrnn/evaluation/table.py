"""The table of tracking and prediction as people read it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from world_models.statistics import cluster_draws, mean_and_interval, percentiles

Row = dict[str, Any]

SUPERVISED = "supervised"
"""The arm whose keypoints were drawn to the true positions, against which the others are measured."""
OURS = "struct-vrnn"
"""The arm that is compared with every other one."""
COMPARED = {"trajectory_error": "trajectory error, px", "detection_error": "detection error, px"}
COLUMNS = {
    "trajectory_error": "best sample, px",
    "furthest_error": "worst sample, px",
    "mean_error": "mean prediction, px",
    "hold_error": "held, px",
    "detection_error": "detection, px",
    "diversity": "diversity, px",
    "ssim_best": "SSIM, best",
    "ssim_worst": "SSIM, worst",
    "psnr_best": "PSNR, best",
    "psnr_worst": "PSNR, worst",
}
"""What every test sequence has of its own, and its heading."""
DISTANCE = "video_distance"
DUELS = {"trajectory_error": ("best sample", -1), "ssim_best": ("SSIM, best", 1)}
"""What arms are compared by, task by task: the heading, and 1 where more is better."""


def summarise_rows(rows: Sequence[Row]) -> dict[str, Any]:
    """``arms``: means over tasks of every column, and ``<column>_ci95``, its 95 % bootstrap interval over
    seeds and whole sequences; ``video_distance`` with half a t-interval over seeds (None with one seed, or
    where no shipped model knows a task). ``tasks``: intervals of errors and SSIM by arm and task.
    ``over_supervised``: by arm, task and error, the mean over seeds divided by the supervised arm's; None
    without that arm. ``duels``: by other arm, on how many tasks struct-vrnn is better, intervals apart on
    how many of these, and in how many seeds over all tasks.
    """
    arms, tasks = _values(rows, "arm"), _values(rows, "task")
    draws = {
        column: {arm: np.stack([_draws(rows, arm, task, column) for task in tasks]) for arm in arms}
        for column in COLUMNS
    }
    summary = dict[str, dict[str, Any]]()
    for arm in arms:
        summary[arm] = {}
        for column in COLUMNS:
            summary[arm][column] = float(np.mean([_mean(rows, arm, task, column) for task in tasks]))
            summary[arm][f"{column}_ci95"] = [*percentiles(draws[column][arm].mean(0))]
        summary[arm][DISTANCE], summary[arm][f"{DISTANCE}_ci95"] = _distance(rows, arm)
    by_task = {
        arm: {
            task: {column: [*percentiles(draws[column][arm][index])] for column in (*COMPARED, *DUELS)}
            for index, task in enumerate(tasks)
        }
        for arm in arms
    }
    ratios = None
    if SUPERVISED in arms:
        ratios = {
            arm: {
                task: {
                    column: _mean(rows, arm, task, column) / _mean(rows, SUPERVISED, task, column)
                    for column in COMPARED
                }
                for task in tasks
            }
            for arm in arms
        }
    duels = {arm: _duel(rows, by_task, arm) for arm in arms if arm != OURS and OURS in arms}
    return {"arms": summary, "tasks": by_task, "over_supervised": ratios, "duels": duels}


def _draws(rows: Sequence[Row], arm: str, task: str, column: str) -> NDArray[np.float64]:
    found = [row["sequences"][column] for row in rows if (row["arm"], row["task"]) == (arm, task)]
    return cluster_draws(np.array(found), _values(rows, "task").index(task))


def _distance(rows: Sequence[Row], arm: str) -> tuple[float | None, float | None]:
    """Mean over tasks of the distance of videos, and half its interval over seeds."""
    found = [
        [row[DISTANCE] for row in rows if (row["arm"], row["seed"]) == (arm, seed)]
        for seed in _seeds(rows, arm)
    ]
    if any(one is None for of_seed in found for one in of_seed):
        return None, None
    return mean_and_interval([float(np.mean(of_seed)) for of_seed in found])


def _duel(
    rows: Sequence[Row], by_task: Mapping[str, Mapping[str, Mapping[str, list[float]]]], other: str
) -> dict[str, dict[str, int]]:
    """On how many tasks and in how many seeds our arm is better than another one."""
    tasks, found = _values(rows, "task"), dict[str, dict[str, int]]()
    seeds = [seed for seed in _seeds(rows, OURS) if seed in _seeds(rows, other)]
    for column, (_, sign) in DUELS.items():
        better = [
            t for t in tasks if sign * (_mean(rows, OURS, t, column) - _mean(rows, other, t, column)) > 0
        ]
        apart = 0
        for task in better:
            low, high = sorted((by_task[OURS][task][column], by_task[other][task][column]))
            apart += low[1] < high[0]
        won = sum(
            sign * (_of_seed(rows, OURS, seed, column) - _of_seed(rows, other, seed, column)) > 0
            for seed in seeds
        )
        found[column] = {"tasks": len(better), "apart": apart, "seeds": won, "of_seeds": len(seeds)}
    return found


def markdown_tables(content: Mapping[str, Any]) -> str:
    """Errors by arm and task, with their interval and their ratio to the supervised arm's; a summary of every
    arm; how often struct-vrnn is better; errors by body.
    """
    rows, summary = content["rows"], content["summary"]
    parts = [_by_task(rows, column, title, summary) for column, title in COMPARED.items()]
    parts.append(_summary(rows, summary["arms"]))
    parts += [_duels(summary["duels"], len(_values(rows, "task")))] if summary["duels"] else []
    return "\n\n".join([*parts, _by_body(rows)])


def _by_task(rows: Sequence[Row], column: str, title: str, summary: Mapping[str, Any]) -> str:
    tasks, ratios = _values(rows, "task"), summary["over_supervised"]
    lines = [[title, "seeds", *tasks]]
    for arm in _values(rows, "arm"):
        cells = []
        for task in tasks:
            ratio = "" if ratios is None else f", x {ratios[arm][task][column]:.2f}"
            low, high = summary["tasks"][arm][task][column]
            cells.append(f"{_mean(rows, arm, task, column):.2f} ({low:.2f} to {high:.2f}{ratio})")
        lines.append([arm, str(len(_seeds(rows, arm))), *cells])
    return to_markdown(lines)


def _summary(rows: Sequence[Row], arms: Mapping[str, Mapping[str, Any]]) -> str:
    lines = [["mean over tasks", "seeds", *COLUMNS.values(), "distance of videos"]]
    for arm, figures in arms.items():
        cells = []
        for column in COLUMNS:
            digits, (low, high) = 3 if column.startswith("ssim") else 2, figures[f"{column}_ci95"]
            cells.append(f"{figures[column]:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})")
        distance, half = figures[DISTANCE], figures[f"{DISTANCE}_ci95"]
        cells.append(
            "-" if distance is None else f"{distance:.3f}" + ("" if half is None else f" ± {half:.3f}")
        )
        lines.append([arm, str(len(_seeds(rows, arm))), *cells])
    return to_markdown(lines)


def _duels(duels: Mapping[str, Mapping[str, Mapping[str, int]]], tasks: int) -> str:
    lines = [[f"{OURS} is better than", *(f"{name}: tasks (apart), seeds" for name, _ in DUELS.values())]]
    for other, found in duels.items():
        cells = [
            f"{one['tasks']} of {tasks} ({one['apart']}), {one['seeds']} of {one['of_seeds']}"
            for one in found.values()
        ]
        lines.append([other, *cells])
    return to_markdown(lines)


def _by_body(rows: Sequence[Row]) -> str:
    """Trajectory errors, then detection errors."""
    arms = _values(rows, "arm")
    lines = [["trajectory / detection error, px", "body", *arms]]
    for task in _values(rows, "task"):
        of_task = [row for row in rows if row["task"] == task]
        for body in of_task[0]["per_body"]:
            cells = []
            for arm in arms:
                found = [row["per_body"][body] for row in of_task if row["arm"] == arm]
                cells.append(" / ".join(f"{np.mean([f[column] for f in found]):.2f}" for column in COMPARED))
            lines.append([task, body, *cells])
    return to_markdown(lines)


def _values(rows: Sequence[Row], key: str) -> list[str]:
    return list(dict.fromkeys(row[key] for row in rows))


def _seeds(rows: Sequence[Row], arm: str) -> list[int]:
    return list(dict.fromkeys(row["seed"] for row in rows if row["arm"] == arm))


def _mean(rows: Sequence[Row], arm: str, task: str, column: str) -> float:
    return float(np.mean([row[column] for row in rows if (row["arm"], row["task"]) == (arm, task)]))


def _of_seed(rows: Sequence[Row], arm: str, seed: int, column: str) -> float:
    return float(np.mean([row[column] for row in rows if (row["arm"], row["seed"]) == (arm, seed)]))


def to_markdown(lines: Sequence[Sequence[str]]) -> str:
    """A table of these rows of cells, the first of which is its head."""
    head, *body = (f"| {' | '.join(cells)} |" for cells in lines)
    return "\n".join([head, "|" + "---|" * len(lines[0]), *body])
