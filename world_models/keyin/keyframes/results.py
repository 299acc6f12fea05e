"""Rows of the keyframe table, and the table as people read it."""

import math
from collections.abc import Sequence
from typing import Any

from world_models.keyin.keyframes.scores import Scores
from world_models.statistics import mean_and_interval

Row = dict[str, Any]


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
