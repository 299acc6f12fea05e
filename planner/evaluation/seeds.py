"""One row from the same evaluation of several trainings, which differ in the model's seed."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any

from envs.push.world import against_first_text
from world_models.statistics import mcnemar, wilson_interval

TITLES = (
    "results",
    "planner",
    "servo",
    "keyframes",
    "seeds × n",
    "success, mean (of every seed)",
    "95 % CI of all",
    "won / lost against the first (p)",
    "plans through wall",
    "s / plan",
)


@dataclass(frozen=True)
class Trained:
    """The results of ``planner.evaluate push`` for one training: a file, and its JSON content."""

    path: Path
    content: Mapping[str, Any]


def seeds_table(groups: Sequence[Sequence[Trained]]) -> str:
    """A Markdown table with a row per planner of every group; files of a group are of one seed each.

    Intervals take episodes as independent, also those of several seeds in one scene.

    Raises:
        ValueError: files of a group are of other episodes or planners, or of the same weights.
    """
    lines = [f"| {' | '.join(TITLES)} |", "|" + "---|" * len(TITLES)]
    for group in groups:
        _check(group)
        rows = [file.content["rows"] for file in group]
        lines += [f"| {' | '.join([_label(group), *_cells(same)])} |" for same in zip(*rows, strict=True)]
    return "\n".join(lines)


def _check(group: Sequence[Trained]) -> None:
    first, *others = group
    used = [_weights(first)]
    for file in others:
        for name in ("env", "manifest"):
            if file.content[name] != first.content[name]:
                raise ValueError(
                    f"{file.path} has another {name} than {first.path}: they are no row together"
                )
        if _arms(file) != _arms(first):
            raise ValueError(f"{file.path} has other planners or numbers of episodes than {first.path}")
        if (weights := _weights(file)) in used:
            raise ValueError(f"{file.path} is of the same weights as another file of its row")
        used.append(weights)


def _arms(file: Trained) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in ("planner", "servo", "episodes")) for row in file.content["rows"]]


def _weights(file: Trained) -> list[Any]:
    return [settings.get("weights_sha256") for settings in file.content["settings"].values()]


def _label(group: Sequence[Trained]) -> str:
    """The name of the first file, without the number of its seed where there are more."""
    stem = group[0].path.stem
    return stem if len(group) == 1 else re.sub(r"[-_]?s?\d+$", "", stem) or stem


def _cells(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    each, total = rows[0]["episodes"], sum(row["episodes"] for row in rows)
    rates = [row["success_rate"] for row in rows]
    low, high = wilson_interval(round(sum(rate * each for rate in rates)), total)
    crossing = [row["plans_through_wall"] for row in rows]
    sizes = [row["keyframes"] for row in rows]
    return [
        rows[0]["planner"],
        rows[0]["servo"],
        "-" if None in sizes else f"{mean(sizes):.3g}",
        f"{len(rows)} × {each}",
        f"{100 * mean(rates):.1f} % ({' / '.join(f'{100 * rate:.1f}' for rate in rates)})",
        f"{100 * low:.1f} to {100 * high:.1f}",
        _against_first(rows),
        "-" if None in crossing else str(sum(crossing)),
        f"{median(row['seconds_per_plan_p50'] for row in rows):.3f}",
    ]


def _against_first(rows: Sequence[Mapping[str, Any]]) -> str:
    if any(row["won"] is None for row in rows):
        return "-"
    won, lost = sum(row["won"] for row in rows), sum(row["lost"] for row in rows)
    return against_first_text({"won": won, "lost": lost, "mcnemar_p": mcnemar(won, lost)})
