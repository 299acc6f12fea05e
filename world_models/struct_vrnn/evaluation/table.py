"""The table of tracking and prediction as people read it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from world_models.statistics import mean_and_interval

Row = dict[str, Any]

SUPERVISED = "supervised"
"""The arm whose keypoints were drawn to the true positions, against which the others are measured."""
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
"""What the summary has of every arm, and its heading."""


def summarise_rows(rows: Sequence[Row]) -> dict[str, Any]:
    """``arms``: means over tasks of every column, and ``<column>_ci95``, the half width of the 95 %
    t-interval over seeds (None with one). ``over_supervised``: by arm, task and error, the mean over seeds
    divided by the supervised arm's; None without that arm.
    """
    arms, tasks = _values(rows, "arm"), _values(rows, "task")
    summary = dict[str, dict[str, float | None]]()
    for arm in arms:
        seeds = dict.fromkeys(row["seed"] for row in rows if row["arm"] == arm)
        summary[arm] = {}
        for column in COLUMNS:
            of_seeds = [
                float(np.mean([row[column] for row in rows if (row["arm"], row["seed"]) == (arm, seed)]))
                for seed in seeds
            ]
            summary[arm][column], summary[arm][f"{column}_ci95"] = mean_and_interval(of_seeds)
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
    return {"arms": summary, "over_supervised": ratios}


def markdown_tables(content: Mapping[str, Any]) -> str:
    """Errors by arm and task, in brackets their ratio to the supervised arm's; a summary of every arm; errors
    by body. Means over seeds ± half a 95 % t-interval.
    """
    rows, summary = content["rows"], content["summary"]
    ratios = summary["over_supervised"]
    parts = [_by_task(rows, column, title, ratios) for column, title in COMPARED.items()]
    return "\n\n".join([*parts, _summary(rows, summary["arms"]), _by_body(rows)])


def _by_task(
    rows: Sequence[Row], column: str, title: str, ratios: Mapping[str, Mapping[str, Any]] | None
) -> str:
    tasks = _values(rows, "task")
    lines = [[title, "seeds", *tasks]]
    for arm in _values(rows, "arm"):
        cells = []
        for task in tasks:
            values = _select(rows, arm, task, column)
            ratio = "" if ratios is None else f" ({ratios[arm][task][column]:.2f})"
            cells.append(_cell(*mean_and_interval(values), 2) + ratio)
        lines.append([arm, str(len(values)), *cells])
    return _table(lines)


def _summary(rows: Sequence[Row], arms: Mapping[str, Mapping[str, float | None]]) -> str:
    lines = [["mean over tasks", "seeds", *COLUMNS.values()]]
    for arm, figures in arms.items():
        cells = []
        for column in COLUMNS:
            mean, half = figures[column], figures[f"{column}_ci95"]
            assert mean is not None
            cells.append(_cell(mean, half, 3 if column.startswith("ssim") else 2))
        seeds = {row["seed"] for row in rows if row["arm"] == arm}
        lines.append([arm, str(len(seeds)), *cells])
    return _table(lines)


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
    return _table(lines)


def _values(rows: Sequence[Row], key: str) -> list[str]:
    return list(dict.fromkeys(row[key] for row in rows))


def _select(rows: Sequence[Row], arm: str, task: str, column: str) -> list[float]:
    return [row[column] for row in rows if (row["arm"], row["task"]) == (arm, task)]


def _mean(rows: Sequence[Row], arm: str, task: str, column: str) -> float:
    return float(np.mean(_select(rows, arm, task, column)))


def _cell(mean: float, half: float | None, digits: int) -> str:
    return f"{mean:.{digits}f}" if half is None else f"{mean:.{digits}f} ± {half:.{digits}f}"


def _table(lines: Sequence[Sequence[str]]) -> str:
    head, *body = (f"| {' | '.join(cells)} |" for cells in lines)
    return "\n".join([head, "|" + "---|" * len(lines[0]), *body])
