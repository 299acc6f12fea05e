"""From episode outcomes to the rows of a results table, for every world."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from envs.world import Column, Record

Records = Sequence[Record]
ByArm = Mapping[str, Records]


def _mean(key: str, value: Callable[[Record], float]) -> Callable[[Records, ByArm], Record]:
    return lambda records, _: {key: float(np.mean([value(record) for record in records]))}


def _median_seconds(key: str, field: str) -> Callable[[Records, ByArm], Record]:
    def figures(records: Records, _: ByArm) -> Record:
        seconds = [value for record in records for value in record[field]]
        return {key: float(np.median(seconds)) if seconds else 0.0}

    return figures


def _whole(records: Records, _: ByArm) -> Record:
    """How many of the planned pictures are plausible; None for planners that plan nothing."""
    planned = sum(record["planned"] for record in records)
    whole = sum(record["planned_whole"] for record in records)
    sizes = [record["keyframes"] for record in records if record["keyframes"] is not None]
    return {
        "keyframes": None if not sizes else sizes[0] if len({*sizes}) == 1 else float(np.mean(sizes)),
        "planned_whole_rate": whole / planned if planned else None,
    }


def _plan_seconds(records: Records, by_arm: ByArm) -> Record:
    """``goals_unseen`` counts goal pictures that show nothing of what is wanted: nothing was planned or
    done.
    """
    unseen = sum(not record["plan_seconds"] for record in records)
    return {"goals_unseen": unseen} | _median_seconds("seconds_per_plan_p50", "plan_seconds")(records, by_arm)


def _share(row: Mapping[str, Any]) -> str:
    share = row["planned_whole_rate"]
    return "-" if share is None else f"{100 * share:.1f} %"


def count_or_dash(row: Mapping[str, Any], name: str) -> str:
    """A figure of a row as a whole number; a dash if the row, of older results, does not have it."""
    return f"{row[name]:,.0f}" if name in row else "-"


def _count(title: str, key: str, value: Callable[[Record], float]) -> Column:
    return Column(title, _mean(key, value), lambda row: count_or_dash(row, key))


def _seconds(title: str, key: str, figures: Callable[[Records, ByArm], Record]) -> Column:
    return Column(title, figures, lambda row: f"{row[key]:.3f}")


COLUMNS: Mapping[str, Column] = MappingProxyType(
    {
        "whole": Column("whole keyframes", _whole, _share),
        "steps": Column(
            "steps", _mean("steps_mean", lambda r: r["steps"]), lambda row: f"{row['steps_mean']:.1f}"
        ),
        "model_steps": _count("model steps", "model_steps_mean", lambda r: r["model_steps"]),
        "simulator_steps": _count("simulated steps", "simulator_steps_mean", lambda r: r["simulator_steps"]),
        "imagined": _count(
            "imagined steps", "model_steps_mean", lambda r: r["model_steps"] + r["simulator_steps"]
        ),
        "plan_seconds": _seconds("s / plan", "seconds_per_plan_p50", _plan_seconds),
        "step_seconds": _seconds(
            "s / step", "seconds_per_step_p50", _median_seconds("seconds_per_step_p50", "step_seconds")
        ),
        "decision_seconds": _seconds(
            "s / decision",
            "seconds_per_decision_p50",
            _median_seconds("seconds_per_decision_p50", "decision_seconds"),
        ),
    }
)
"""Figures of the closed loop that a world can have among its columns."""


def find_columns(columns: Sequence[Column | str]) -> list[Column]:
    """A world's columns, those of the closed loop looked up by their names."""
    return [COLUMNS[column] if isinstance(column, str) else column for column in columns]


def summarise(
    labels: Mapping[str, str], records: Records, columns: Sequence[Column | str], by_arm: ByArm
) -> dict[str, Any]:
    """One row from the JSON records of its episodes; ``by_arm`` has all that ran the same episodes."""
    row: dict[str, Any] = {**labels, "episodes": len(records)}
    for column in find_columns(columns):
        row |= column.figures(records, by_arm)
    return row


def markdown_table(
    rows: Sequence[Mapping[str, Any]], labels: Sequence[str], columns: Sequence[Column | str]
) -> str:
    """The rows as a Markdown table."""
    shown = find_columns(columns)
    titles = [*labels, "n", *(column.title for column in shown)]
    lines = [f"| {' | '.join(titles)} |", "|" + "---|" * len(titles)]
    for row in rows:
        cells = [*(row[label] for label in labels), row["episodes"], *(column.text(row) for column in shown)]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)
