"""``planner.robustness dmc``: control of DM Control tasks that look otherwise than in training."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from envs.dmc.variation import DmcVariation
from planner.evaluation.dmc import SHIPPED, Dmc
from planner.evaluation.evaluation import parse_names
from planner.evaluation.robustness.shifts import DMC_VARIATIONS, STANDARD, Change, select_changes
from planner.evaluation.robustness.study import Row, Study
from planner.evaluation.run import evaluate
from world_models.jobs.workers import cores


@dataclass(frozen=True)
class DmcRobustness(Study[DmcVariation, Dmc]):
    """Control DM Control tasks with a learned model, from pictures alone."""

    verb: ClassVar[str] = "planner.robustness dmc"

    variations: str = ",".join(DMC_VARIATIONS)
    """Comma-separated names of variations; the standard, with which they are compared, is always run."""
    task: str = "reacher-easy,cartpole-balance"
    """Comma-separated tasks, or all."""
    episodes: int = 20
    """How many of the frozen episodes, from the first."""
    fresh: int | None = None
    """Draw new episodes with this seed instead of the frozen ones."""
    steps: int | None = None
    """Stop after so many steps of the environment; None runs whole episodes."""
    workers: int = cores()
    together: int = 1
    """As in planner.evaluate."""
    device: str = "cpu"
    seed: int = 0
    """Seed of the searches; the starts do not depend on it."""
    model: str = SHIPPED
    """Shipped model or model folder; {domain} stands for acrobot, cartpole, ..."""
    control: str | None = None
    """Shipped control model or model folder, {task} stands for the task; as in planner.evaluate dmc."""
    out: Path = Path("robustness-dmc.json")
    """Results; a PNG of how the worlds look stands beside them."""

    def changes(self) -> list[Change[DmcVariation]]:
        """The standard world, and those of the variations asked for."""
        names = parse_names(self.variations, list(DMC_VARIATIONS), "variation")
        return select_changes(names, DMC_VARIATIONS)

    def evaluation(self, change: Change[DmcVariation]) -> Dmc:
        """The learned arm, which alone looks at pictures, in this world."""
        return Dmc(
            task=self.task,
            arms="learned",
            variation=change.world,
            episodes=self.episodes,
            fresh=self.fresh,
            steps=self.steps,
            workers=self.workers,
            together=self.together,
            device=self.device,
            seed=self.seed,
            model=self.model,
            control=self.control,
            out=self.place(change),
        )

    def evaluate(self, evaluation: Dmc) -> dict[str, Any]:
        """As planner.evaluate does."""
        return evaluate(evaluation)[0]

    def row(self, change: Change[DmcVariation], row: Row, standard: Row) -> Row:
        """Return, the standard's, and the share of it that is kept."""
        reference = standard["return_mean"]
        return {
            "variation": change.name,
            "what": change.what,
            "task": row["task"],
            "arm": row["arm"],
            "n": row["episodes"],
            "return_mean": row["return_mean"],
            "return_ci95": row["return_ci95"],
            "standard_return_mean": reference,
            "standard_return_ci95": standard["return_ci95"],
            "of_standard": row["return_mean"] / reference if reference else None,
            "changed": change.world.model_dump(mode="json", exclude_defaults=True),
        }

    def content(self, outcome: dict[str, Any], rows: Sequence[Row]) -> dict[str, Any]:
        """Episodes."""
        return {"manifest": outcome["manifest"]}

    def table(self, rows: Sequence[Row]) -> str:
        """The rows."""
        return markdown(rows)


def markdown(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    lines = [
        "| variation | what is changed | task | arm | n | return (95 % CI) | standard's (95 % CI) | of it |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        standard = _return(row["standard_return_mean"], row["standard_return_ci95"])
        share = "-" if row["of_standard"] is None else f"{100 * row['of_standard']:.0f} %"
        lines.append(
            f"| {row['variation']} | {row['what']} | {row['task']} | {row['arm']} | {row['n']} "
            f"| {_return(row['return_mean'], row['return_ci95'])} "
            f"| {'- | -' if row['variation'] == STANDARD else f'{standard} | {share}'} |"
        )
    return "\n".join(lines)


def _return(mean: float, interval: Sequence[float] | None) -> str:
    """One episode alone has no interval."""
    return f"{mean:.1f}" if interval is None else f"{mean:.1f} ({interval[0]:.1f} to {interval[1]:.1f})"
