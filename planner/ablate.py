"""What each part of the planner is worth: ``python -m planner.ablate push --out ablation.json``.

Every variant is the shipped setting with one change, or the paper's, and runs the same episodes by way of
:mod:`planner.evaluate`. Each keeps its own results and journal in ``<out>.variants/``, so that an interrupted
run goes on where it stopped.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro
from tqdm import tqdm

from planner.evaluation.push import Push, evaluate_push
from planner.evaluation.results import count_or_dash
from planner.evaluation.settings import PAPER, PAPER_SERVO, Settings
from world_models.files import write_results
from world_models.jobs.command import command
from world_models.jobs.outputs import check_outputs
from world_models.jobs.workers import cores

SHIPPED = Settings()
NO_GRADIENT = ("simulator",)
"""Low levels whose model cannot be asked for gradient steps."""


@dataclass(frozen=True)
class Variant:
    """One row of the ablation: its name, what is changed, and the settings that result."""

    name: str
    what: str
    settings: Settings

    @property
    def needs_gradient(self) -> bool:
        """Whether the servo's model must have a gradient."""
        return self.settings.servo.gradient_steps > 0


def _servo(cem: dict[str, Any] | None = None, **changes: Any) -> Settings:
    servo = SHIPPED.servo.model_copy(update=changes)
    servo = servo.model_copy(update={"cem": servo.cem.model_copy(update=cem or {})})
    return SHIPPED.model_copy(update={"servo": servo})


def _search(cem: dict[str, Any] | None = None, **changes: Any) -> Settings:
    hierarchy = SHIPPED.hierarchy.model_copy(update=changes)
    hierarchy = hierarchy.model_copy(update={"cem": hierarchy.cem.model_copy(update=cem or {})})
    return SHIPPED.model_copy(update={"hierarchy": hierarchy})


def _episode(**changes: Any) -> Settings:
    return SHIPPED.model_copy(update={"episode": SHIPPED.episode.model_copy(update=changes)})


PAPER_SIZES = {
    name: getattr(PAPER_SERVO.cem, name) for name in ("candidates", "iterations", "elite_fraction")
}

VARIANTS = (
    Variant("shipped", "nothing changed", SHIPPED),
    Variant("paper", "the paper's searches, no plausibility rule", PAPER),
    Variant("paper-servo", "the paper's servo", SHIPPED.model_copy(update={"servo": PAPER_SERVO})),
    Variant("paper-size", "servo of the paper's size", _servo(PAPER_SIZES)),
    Variant("white-noise", "servo without coloured noise", _servo({"noise_exponent": 0.0})),
    Variant("no-kept-elites", "servo without kept elites", _servo({"kept_fraction": 0.0})),
    Variant("last-population", "servo answers from its last population", _servo({"best_ever": False})),
    Variant("no-warm-start", "servo starts afresh every step", _servo(warm_start=False)),
    Variant("mppi", "servo weighs all candidates (MPPI)", _servo({"temperature": 0.1})),
    Variant("gradient", "servo takes 5 gradient steps from its answer", _servo(gradient_steps=5)),
    Variant("search-last", "plan from the search's last population", _search({"best_ever": False})),
    Variant("search-kept", "search for subgoals keeps 30 % of its elites", _search({"kept_fraction": 0.3})),
    Variant("no-plausibility", "the cheapest plan, plausible or not", _search(shortlist=1)),
    Variant("cheapest-plan", "the cheapest plausible plan, not the likeliest", _search(choice="cheapest")),
    Variant("replan-missed", "new plan after every missed subgoal", _episode(replan="missed")),
    Variant("replan-always", "new plan after every subgoal", _episode(replan="always")),
    Variant("replan-surprised", "new plan after misses and surprises", _episode(replan="surprised")),
    Variant("patience-10", "every subgoal is given up after 10 steps", _episode(max_steps_per_subgoal=10)),
    Variant("radius-2.5", "subgoals reached within 2.5 pixels", _episode(subgoal_radius=2.5)),
    Variant("radius-5", "subgoals reached within 5 pixels", _episode(subgoal_radius=5.0)),
)


@dataclass(frozen=True)
class Ablate:
    """Push an object round the wall."""

    variants: str = ",".join(variant.name for variant in VARIANTS if not variant.needs_gradient)
    """Comma-separated names of variants; gradient needs a servo whose model has one."""
    planners: str = "keyin"
    """Comma-separated planners of planner.evaluate; each variant is run with each."""
    task: str = "push"
    rhythm: Literal["regular", "irregular", "pauses"] | None = None
    """As for planner.evaluate, like ..."""
    keyframes: int | Literal["auto"] | None = None
    manifest: str | None = None
    disturbance: float = 0.0
    servo: Literal["simulator", "learned"] = "simulator"
    """Low level of planner.evaluate."""
    episodes: int = 100
    fresh: int | None = None
    """Draw new episodes with this seed instead of the frozen ones."""
    workers: int = cores()
    device: str = "cpu"
    seed: int = 0
    """Seed of the searches; the episodes do not depend on it."""
    model: str | None = None
    """Shipped model or model folder of the keyin planner, ..."""
    jumpy: str | None = None
    """... of the jumpy planner; the other learned planners are those shipped."""
    learned: str = "struct-vrnn-push"
    """The same for the learned servo."""
    out: Path = Path("ablation.json")

    def select(self) -> list[Variant]:
        """The variants asked for; an error names the valid ones."""
        known = {variant.name: variant for variant in VARIANTS}
        names = [name.strip() for name in self.variants.split(",") if name.strip()]
        unknown = [name for name in names if name not in known]
        if unknown or not names:
            raise ValueError(
                f"unknown variant {', '.join(unknown) or '(none)'}; choose from {', '.join(known)}"
            )
        if self.servo in NO_GRADIENT and any(known[name].needs_gradient for name in names):
            able = ", ".join(name for name, variant in known.items() if not variant.needs_gradient)
            raise ValueError(f"the true dynamics have no gradient; choose variants from {able}")
        return [known[name] for name in dict.fromkeys(names)]

    def evaluation(self, variant: Variant) -> Push:
        """The evaluation that yields this variant's rows."""
        return Push(
            planners=self.planners,
            task=self.task,
            rhythm=self.rhythm,
            keyframes=self.keyframes,
            manifest=self.manifest,
            disturbance=self.disturbance,
            servo=self.servo,
            compare=False,
            episodes=self.episodes,
            fresh=self.fresh,
            workers=self.workers,
            device=self.device,
            seed=self.seed,
            model=self.model,
            jumpy=self.jumpy,
            learned=self.learned,
            settings=variant.settings,
            out=self.out.with_name(self.out.name + ".variants") / f"{variant.name}.json",
        )


def ablate(run: Ablate, evaluation: Callable[[Push], dict[str, Any]] = evaluate_push) -> dict[str, Any]:
    """Run all variants and write their rows to ``run.out``; returns the JSON content."""
    rows: list[dict[str, Any]] = []
    result: dict[str, Any] = {}
    variants = run.select()
    check_outputs("--out", run.out)
    for number, variant in enumerate(variants, start=1):
        job = run.evaluation(variant)
        job.out.parent.mkdir(parents=True, exist_ok=True)
        tqdm.write(f"{variant.name} ({number} of {len(variants)}): {variant.what}")
        outcome = evaluation(job)
        rows += [_row(variant, row) for row in outcome["rows"]]
        content = {"env": outcome["env"], "task": run.task, "manifest": outcome["manifest"], "rows": rows}
        result = write_results(run.out, "planner.ablate push", content, markdown(rows))
    return result


def _row(variant: Variant, row: dict[str, Any]) -> dict[str, Any]:
    copied = (
        "success_rate",
        "success_ci95",
        "strict_rate",
        "position_error_mean",
        "steps_mean",
        "model_steps_mean",
        "simulator_steps_mean",
        "seconds_per_step_p50",
    )
    return {
        "name": variant.name,
        "what": variant.what,
        "planner": row["planner"],
        "servo": row["servo"],
        "n": row["episodes"],
        **{name: row[name] for name in copied},
        "settings": variant.settings.to_json(),
    }


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as a Markdown table; a dash stands for what older results do not hold."""
    lines = [
        "| variant | what is changed | planner | servo | n | success < 0.30 (95 % CI) | strict < 0.15 "
        "| position error | steps | model steps | simulated steps | s / step |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        low, high = np.multiply(100, row["success_ci95"])
        lines.append(
            f"| {row['name']} | {row['what']} | {row['planner']} | {row.get('servo', '-')} | {row['n']} "
            f"| {100 * row['success_rate']:.1f} % ({low:.1f} to {high:.1f}) "
            f"| {100 * row['strict_rate']:.1f} % "
            f"| {row['position_error_mean']:.3f} | {row['steps_mean']:.1f} "
            f"| {count_or_dash(row, 'model_steps_mean')} | {row['simulator_steps_mean']:,.0f} "
            f"| {row['seconds_per_step_p50']:.3f} |"
        )
    return "\n".join(lines)


@command(resumes=True)
def main() -> None:
    """Command line entry point."""
    run = tyro.cli(
        tyro.extras.subcommand_type_from_defaults({"push": Ablate()}),
        prog="python -m planner.ablate",
        description=__doc__,
    )
    result = ablate(run)
    tqdm.write(f"{result['table']}\n\nwritten: {run.out}")


if __name__ == "__main__":
    main()
