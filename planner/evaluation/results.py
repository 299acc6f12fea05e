"""From episode outcomes to the rows of a results table."""

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any

import numpy as np

from envs.push.env import STRICT_SUCCESS, SUCCESS


def wilson_interval(successes: int, trials: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson score interval of a rate (95 % by default); unlike the normal one it is right near 0 and 1."""
    if trials == 0:
        return (0.0, 1.0)
    rate = successes / trials
    centre = rate + z * z / (2 * trials)
    half = z * sqrt(rate * (1 - rate) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    # At 0 and 1 the interval touches the bound exactly; rounding must not push it a hair beside it.
    return (max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale))


def summarise(planner: str, servo: str, episodes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One table row from the JSON records of a planner's episodes; distances in table units.

    ``goals_unseen`` counts goal pictures without an object, for which nothing was planned or done.
    """
    distances = np.array([episode["distance"] for episode in episodes])
    successes = int((distances < SUCCESS).sum())
    plans = [seconds for episode in episodes for seconds in episode["plan_seconds"]]
    steps = [seconds for episode in episodes for seconds in episode["step_seconds"]]
    return {
        "planner": planner,
        "servo": servo,
        "episodes": len(episodes),
        "success_rate": successes / len(episodes),
        "success_ci95": list(wilson_interval(successes, len(episodes))),
        "strict_rate": float((distances < STRICT_SUCCESS).mean()),
        "position_error_mean": float(distances.mean()),
        "position_error_std": float(distances.std()),
        "initial_error_mean": float(np.mean([episode["initial_distance"] for episode in episodes])),
        "steps_mean": float(np.mean([episode["steps"] for episode in episodes])),
        "keyframes": episodes[0]["keyframes"],
        "planned_whole_rate": _share(episodes, "planned_whole", "planned"),
        "plans_through_wall": _through_wall(episodes),
        "model_steps_mean": float(np.mean([episode["model_steps"] for episode in episodes])),
        "simulator_steps_mean": float(np.mean([episode["simulator_steps"] for episode in episodes])),
        "goals_unseen": sum(not episode["plan_seconds"] for episode in episodes),
        "seconds_per_plan_p50": float(np.median(plans)) if plans else 0.0,
        "seconds_per_step_p50": float(np.median(steps)) if steps else 0.0,
    }


def _share(episodes: Sequence[dict[str, Any]], part: str, whole: str) -> float | None:
    """Sum of one count over the sum of another; None where there is nothing to count."""
    total = sum(episode[whole] for episode in episodes)
    return sum(episode[part] for episode in episodes) / total if total else None


def _through_wall(episodes: Sequence[dict[str, Any]]) -> int | None:
    """How many plans cut through a wall; None for planners that plan nothing."""
    if not any(episode["planned"] for episode in episodes):
        return None
    return sum(episode["plan_crosses_wall"] for episode in episodes)


def count_or_dash(row: Mapping[str, Any], name: str) -> str:
    """A figure of a row as a whole number, a dash if the row does not have it."""
    return f"{row[name]:,.0f}" if name in row else "-"


def markdown_table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as a Markdown table; a dash stands for model steps that older results do not hold."""
    lines = [
        "| planner | servo | n | success < 0.30 (95 % CI) | strict < 0.15 | position error, mean ± sd "
        "| whole keyframes | plans through wall | steps | model steps | simulated steps "
        "| s / plan | s / step |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        low, high = row["success_ci95"]
        share = row["planned_whole_rate"]
        whole = "-" if share is None else f"{100 * share:.1f} %"
        through = "-" if row["plans_through_wall"] is None else row["plans_through_wall"]
        lines.append(
            f"| {row['planner']} | {row['servo']} | {row['episodes']} "
            f"| {100 * row['success_rate']:.1f} % ({100 * low:.1f} to {100 * high:.1f}) "
            f"| {100 * row['strict_rate']:.1f} % "
            f"| {row['position_error_mean']:.3f} ± {row['position_error_std']:.3f} "
            f"| {whole} | {through} | {row['steps_mean']:.1f} "
            f"| {count_or_dash(row, 'model_steps_mean')} | {row['simulator_steps_mean']:,.0f} "
            f"| {row['seconds_per_plan_p50']:.3f} | {row['seconds_per_step_p50']:.3f} |"
        )
    return "\n".join(lines)
