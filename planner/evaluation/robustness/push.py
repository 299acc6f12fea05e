"""``planner.robustness push``: planners in pushing worlds that look or behave otherwise than in training."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from envs.push.variation.factors import Variation
from planner.evaluation.evaluation import parse_names
from planner.evaluation.push import Push, evaluate_push
from planner.evaluation.robustness.contact_sheet import draw_row, start_pictures
from planner.evaluation.robustness.shifts import (
    STANDARD,
    VARIATIONS,
    Change,
    draw_pairs,
    select_changes,
)
from planner.evaluation.robustness.study import Row, Study
from world_models.jobs.workers import cores

ENOUGH = 0.95
"""Success that counts as unharmed in the summary."""
FRONT = {
    STANDARD: "as in training",
    "light-0.5": "half the light",
    "puck-red": "another colour",
    "pitch+3": "camera tilted",
    "distractor": "cluttered",
}
"""Worlds of the front page's row, and what it calls them."""
COPIED = ("success_rate", "success_ci95", "strict_rate", "position_error_mean", "goals_unseen")


@dataclass(frozen=True)
class Robustness(Study[Variation, Push]):
    """Push the puck round the wall."""

    verb: ClassVar[str] = "planner.robustness push"

    variations: str = ",".join(VARIATIONS)
    """Comma-separated names of variations; the standard, with which they are compared, is always run."""
    pairs: int | None = None
    """In the place of single variations, run so many random pairs of them, both at once and each of another
    factor."""
    pairs_seed: int = 0
    """What the pairs are drawn with."""
    planners: str = "keyin"
    """Comma-separated planners of planner.evaluate; each variation is run with each."""
    task: str = "push"
    servo: Literal["simulator", "learned"] = "learned"
    """Low level of planner.evaluate. The true dynamics know how the world has changed."""
    episodes: int = 100
    """How many of the frozen episodes, from the first."""
    fresh: int | None = None
    """Draw new episodes with this seed instead of the frozen ones."""
    workers: int = cores()
    together: int = 1
    """As in planner.evaluate."""
    device: str = "cpu"
    seed: int = 0
    """Seed of the searches; the episodes do not depend on it."""
    model: str = "keyin-push"
    """Shipped model or model folder of the keyin planner."""
    learned: str = "struct-vrnn-push"
    """The same for the learned servo."""
    eye: bool = True
    """Correct pictures before anybody looks at them, as the model does."""
    out: Path = Path("robustness.json")
    """Results; a PNG of how the worlds look stands beside them."""

    def changes(self) -> list[Change[Variation]]:
        """The standard world, and those of the variations asked for or of pairs of them."""
        single = select_changes(parse_names(self.variations, list(VARIATIONS), "variation"), VARIATIONS)
        if self.pairs is None:
            return single
        return [single[0], *draw_pairs(single, self.pairs, self.pairs_seed)]

    def evaluation(self, change: Change[Variation]) -> Push:
        """All planners in this world."""
        return Push(
            planners=self.planners,
            task=self.task,
            servo=self.servo,
            compare=False,
            variation=change.world,
            episodes=self.episodes,
            fresh=self.fresh,
            workers=self.workers,
            together=self.together,
            device=self.device,
            seed=self.seed,
            model=self.model,
            learned=self.learned,
            eye=self.eye,
            out=self.place(change),
        )

    def evaluate(self, evaluation: Push) -> dict[str, Any]:
        """As planner.evaluate does."""
        return evaluate_push(evaluation)

    def row(self, change: Change[Variation], row: Row, standard: Row) -> Row:
        """Success and position error, and how far they are from the standard's."""
        return {
            "variation": change.name,
            "variations": list(change.variations),
            "what": change.what,
            "planner": row["planner"],
            "servo": row["servo"],
            "n": row["episodes"],
            **{figure: row[figure] for figure in COPIED},
            "success_change": row["success_rate"] - standard["success_rate"],
            "position_error_change": row["position_error_mean"] - standard["position_error_mean"],
            "changed": change.world.model_dump(mode="json", exclude_defaults=True),
        }

    def content(self, outcome: dict[str, Any], rows: Sequence[Row]) -> dict[str, Any]:
        """Environment, episodes, how pairs were drawn and a summary."""
        drawn = {} if self.pairs is None else {"pairs_seed": self.pairs_seed}
        return {
            "env": outcome["env"],
            "task": self.task,
            "manifest": outcome["manifest"],
            **drawn,
            "summary": summarise(rows),
        }

    def drawings(self) -> list[Path]:
        """The sheet, and the front page's row if its worlds are among those that are run."""
        names = {change.name for change in self.changes()}
        return [self.sheet_path(), *([self.out.with_suffix(".front.png")] if names >= set(FRONT) else [])]

    def draw(self, rows: Sequence[Row]) -> None:
        """A picture of each of the front page's worlds, with the first planner's success under it."""
        drawn = self.drawings()[1:]
        worlds = {change.name: change for change in self.changes()}
        success = {row["variation"]: row["success_rate"] for row in reversed(rows)}
        for path in drawn:
            pictures = [start_pictures(self.evaluation(worlds[name]))[0] for name in FRONT]
            captions = [f"{title}: {100 * success[name]:.0f} %" for name, title in FRONT.items()]
            draw_row(pictures, captions, path)

    def table(self, rows: Sequence[Row]) -> str:
        """The rows, and their means if there are several."""
        return markdown(rows)


def summarise(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Of every planner and servo over its changed worlds: mean and lowest success, and in how many of them
    it is :data:`ENOUGH` or more.
    """
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row["variation"] != STANDARD:
            groups.setdefault((row["planner"], row["servo"]), []).append(row)
    summary = []
    for (planner, servo), group in groups.items():
        lowest = min(group, key=lambda row: row["success_rate"])
        summary.append(
            {
                "planner": planner,
                "servo": servo,
                "worlds": len(group),
                "success_mean": float(np.mean([row["success_rate"] for row in group])),
                "strict_mean": float(np.mean([row["strict_rate"] for row in group])),
                "success_lowest": lowest["success_rate"],
                "lowest": lowest["variation"],
                "worlds_at_95": sum(row["success_rate"] >= ENOUGH for row in group),
            }
        )
    return summary


def markdown(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table, under them the mean of each planner's changed worlds."""
    lines = [
        "| variation | what is changed | planner | servo | n | success < 0.30 (95 % CI) | strict < 0.15 "
        "| position error | change of success, points | of position error | goals not seen |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        low, high = np.multiply(100, row["success_ci95"])
        changes = f"{100 * row['success_change']:+.1f} | {row['position_error_change']:+.3f}"
        lines.append(
            f"| {row['variation']} | {row['what']} | {row['planner']} | {row['servo']} | {row['n']} "
            f"| {100 * row['success_rate']:.1f} % ({low:.1f} to {high:.1f}) "
            f"| {100 * row['strict_rate']:.1f} % | {row['position_error_mean']:.3f} "
            f"| {'- | -' if row['variation'] == STANDARD else changes} | {row['goals_unseen']} |"
        )
    for mean in summarise(rows):
        if mean["worlds"] > 1:
            lines.append(
                f"| mean | of {mean['worlds']}; {mean['worlds_at_95']} at 95 % or more | {mean['planner']} "
                f"| {mean['servo']} | - | {100 * mean['success_mean']:.1f} % (lowest "
                f"{100 * mean['success_lowest']:.1f}, {mean['lowest']}) | {100 * mean['strict_mean']:.1f} % "
                "| - | - | - | - |"
            )
    return "\n".join(lines)
