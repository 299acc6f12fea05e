"""The table of action recognition as people read it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int64
from numpy.typing import NDArray

from world_models.statistics import cluster_draws, percentiles

Row = dict[str, Any]
"""``arm``, ``seed`` and ``answers``, a label for every tested sequence."""
OURS = "struct-vrnn"
CHANCE = "most frequent action"


def summarise(
    rows: Sequence[Row], labels: Int64[np.ndarray, " n"], episodes: Int64[np.ndarray, " n"]
) -> dict[str, Any]:
    """``arms``: share of the labels found, mean over seeds, with a 95 % bootstrap interval over seeds and
    whole episodes. ``against``: by other arm, how much more struct-vrnn finds, with its interval, paired
    episode by episode. ``chance``: the share of the most frequent action.
    """
    arms, draws = dict[str, dict[str, Any]](), dict[str, NDArray[np.float64]]()
    for arm in dict.fromkeys(row["arm"] for row in rows):
        right = np.stack([row["answers"] == labels for row in rows if row["arm"] == arm]).astype(float)
        draws[arm] = cluster_draws(_by_episode(right, episodes))
        arms[arm] = {"seeds": len(right), "correct": float(right.mean()), "ci95": [*percentiles(draws[arm])]}
    against = {
        arm: {
            "more": arms[OURS]["correct"] - arms[arm]["correct"],
            "ci95": [*percentiles(draws[OURS] - draws[arm])],
        }
        for arm in arms
        if OURS in arms and arm != OURS
    }
    return {"arms": arms, "against": against, "chance": float(np.bincount(labels).max() / len(labels))}


def _by_episode(right: NDArray[np.float64], episodes: Int64[np.ndarray, " n"]) -> NDArray[np.float64]:
    """Share found in every episode ``[seeds, episodes]``."""
    _, owner = np.unique(episodes, return_inverse=True)
    return np.stack([np.bincount(owner, one) / np.bincount(owner) for one in right])


def confusion(rows: Sequence[Row], labels: Int64[np.ndarray, " n"], classes: int) -> dict[str, Any]:
    """By arm, shares of the answers ``[true, answered]``, mean over seeds."""
    found = dict[str, Any]()
    for arm in dict.fromkeys(row["arm"] for row in rows):
        counts = np.zeros((classes, classes))
        for row in rows:
            if row["arm"] == arm:
                np.add.at(counts, (labels, row["answers"]), 1)
        found[arm] = (counts / np.maximum(counts.sum(1, keepdims=True), 1)).tolist()
    return found


def markdown_tables(content: Mapping[str, Any]) -> str:
    """What is found by arm, and how much more struct-vrnn finds, in percent and points."""
    summary = content["summary"]
    lines = ["| features of | seeds | correct | struct-vrnn finds more, points |", "|---|---|---|---|"]
    for arm, found in summary["arms"].items():
        share = _percent(found["correct"], found["ci95"])
        more = summary["against"].get(arm)
        points = "-" if more is None else _percent(more["more"], more["ci95"], "+")
        lines.append(f"| {arm} | {found['seeds']} | {share} | {points} |")
    lines.append(f"| {CHANCE} | - | {100 * summary['chance']:.1f} | - |")
    return "\n".join(lines)


def _percent(value: float, bounds: Sequence[float], sign: str = "") -> str:
    low, high = bounds
    return f"{100 * value:{sign}.1f} ({100 * low:{sign}.1f} to {100 * high:{sign}.1f})"
