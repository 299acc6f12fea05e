"""Rows of the keyframe table, and the table as people read it."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from world_models.keyframe_scores import Scores

Row = dict[str, Any]

T_95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
"""Two-sided 95 % quantiles of Student's t for 1, 2, ... degrees of freedom; later ones are hardly smaller."""


def table_row(dataset: str, method: str, seed: int, scores: Scores) -> Row:
    """Means over sequences; ``recall_by_time`` is for the times 1..N-1, None where there is no keyframe."""
    return {
        "dataset": dataset,
        "method": method,
        "seed": seed,
        "f1": float(scores.f1.mean()),
        "precision": float(scores.precision.mean()),
        "recall": float(scores.recall.mean()),
        "f1_pm1": float(scores.f1_within_1.mean()),
        "n": len(scores.f1),
        "recall_by_time": [None if math.isnan(r) else r for r in scores.recall_by_time().tolist()],
    }


def mean_and_interval(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and half width of its 95 % t-interval over seeds; None with a single seed."""
    count = len(values)
    if count < 2:
        return float(values[0]), None
    quantile = T_95[min(count - 1, len(T_95)) - 1]
    return float(np.mean(values)), quantile * float(np.std(values, ddof=1)) / math.sqrt(count)


def markdown_table(rows: Sequence[Row]) -> str:
    """One line per data set and method: means over seeds ± half a 95 % t-interval."""
    columns = ("f1", "precision", "recall", "f1_pm1", "f1_prior", "center_error_median")
    lines = [
        "| data set | method | seeds | n | F1 | precision | recall | F1 ± 1 frame | F1, prior "
        "| centre error, px |",
        "|" + "---|" * 10,
    ]
    for dataset, method in dict.fromkeys((row["dataset"], row["method"]) for row in rows):
        group = [row for row in rows if (row["dataset"], row["method"]) == (dataset, method)]
        cells = [_cell([row.get(column) for row in group]) for column in columns]
        lines.append(f"| {dataset} | {method} | {len(group)} | {group[0]['n']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    mean, half = mean_and_interval(known)
    return f"{mean:.3f}" if half is None else f"{mean:.3f} ± {half:.3f}"
