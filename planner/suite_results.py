"""From episodes of DM Control tasks to the rows of a results table."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 10_000


def bootstrap_interval(values: NDArray[np.float64], coverage: float = 0.95) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean (Efron and Tibshirani 1993, chapter 13), without chance."""
    draws = np.random.default_rng(0).choice(values, (RESAMPLES, len(values)))
    tail = (1 - coverage) / 2
    low, high = np.quantile(draws.mean(axis=1), [tail, 1 - tail])
    return float(low), float(high)


def summarise(task: str, by_arm: Mapping[str, Sequence[dict[str, Any]]]) -> list[dict[str, Any]]:
    """One table row per arm from the JSON records of one task's episodes, the same ones for every arm.

    ``of_simulator`` and ``of_random`` are the mean return over that of these arms; None where there is no
    such arm, or it earned nothing.
    """
    means = {arm: float(np.mean(_returns(episodes))) for arm, episodes in by_arm.items()}
    rows = []
    for arm, episodes in by_arm.items():
        seconds = [value for episode in episodes for value in episode["step_seconds"]]
        rows.append(
            {
                "task": task,
                "arm": arm,
                "episodes": len(episodes),
                "return_mean": means[arm],
                "return_std": float(np.std(_returns(episodes), ddof=1)) if len(episodes) > 1 else 0.0,
                "return_ci95": list(bootstrap_interval(_returns(episodes))),
                "of_simulator": _ratio(means[arm], means.get("simulator")),
                "of_random": _ratio(means[arm], means.get("random")),
                "steps_mean": float(np.mean([episode["steps"] for episode in episodes])),
                "model_steps_mean": float(np.mean([episode["model_steps"] for episode in episodes])),
                "seconds_per_decision_p50": float(np.median(seconds)),
            }
        )
    return rows


def markdown_table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as a Markdown table."""
    lines = [
        "| task | arm | n | return, mean ± sd (95 % CI) | of simulator | of random | steps | imagined steps "
        "| s / decision |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        low, high = row["return_ci95"]
        of_simulator = row["of_simulator"]
        lines.append(
            f"| {row['task']} | {row['arm']} | {row['episodes']} "
            f"| {row['return_mean']:.1f} ± {row['return_std']:.1f} ({low:.1f} to {high:.1f}) "
            f"| {'-' if of_simulator is None else f'{100 * of_simulator:.0f} %'} "
            f"| {_times(row['of_random'])} "
            f"| {row['steps_mean']:.0f} | {row['model_steps_mean']:,.0f} "
            f"| {row['seconds_per_decision_p50']:.3f} |"
        )
    return "\n".join(lines)


def _times(ratio: float | None) -> str:
    if ratio is None:
        return "-"
    # Where chance earns next to nothing, the ratio says no more than that.
    return f"{ratio:.1f} ×" if ratio < 1000 else "> 1000 ×"


def _returns(episodes: Sequence[dict[str, Any]]) -> NDArray[np.float64]:
    return np.array([episode["return"] for episode in episodes])


def _ratio(value: float, reference: float | None) -> float | None:
    return value / reference if reference else None
