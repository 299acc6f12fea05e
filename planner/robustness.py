"""What a changed world costs: ``python -m planner.robustness push --servo learned --out robustness.json``.

Every variation changes one factor of the world that models were trained on, and runs the same episodes by way
of :mod:`planner.evaluate`; models, searches and the segmenter stay what they are. Each keeps its own results
and journal in ``<out>.variations/``, so that an interrupted run goes on where it stopped.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro
from tqdm import tqdm

from envs.push.scene import Variation
from planner.evaluation.push import Push, evaluate_push
from world_models.files import write_results
from world_models.jobs.command import command
from world_models.jobs.outputs import check_outputs
from world_models.jobs.workers import cores

STANDARD = "standard"
VARIATIONS: dict[str, tuple[str, Variation]] = {
    STANDARD: ("nothing: as in training", Variation()),
    "puck-violet": ("puck's colour, moderately", Variation(puck_color=(0.60, 0.12, 0.80))),
    "puck-pink": ("puck's colour, as far as it is found", Variation(puck_color=(0.80, 0.12, 0.50))),
    "puck-red": ("puck's colour, farther", Variation(puck_color=(0.90, 0.10, 0.10))),
    "wall-green": ("wall's colour", Variation(wall_color=(0.16, 0.60, 0.30))),
    "light-0.8": ("a fifth less light", Variation(light=0.8)),
    "light-1.2": ("a fifth more light", Variation(light=1.2)),
    "pitch+3": ("camera pitched by 3°", Variation(camera_pitch=3.0)),
    "pitch-3": ("camera pitched by -3°", Variation(camera_pitch=-3.0)),
    "radius-0.85": ("puck 15 % smaller", Variation(puck_radius=0.85)),
    "radius-1.15": ("puck 15 % larger", Variation(puck_radius=1.15)),
    "friction-2": ("twice the friction", Variation(friction=2.0)),
}
"""What is changed, and the world that results, by name."""


@dataclass(frozen=True)
class Robustness:
    """Push the puck round the wall."""

    variations: str = ",".join(VARIATIONS)
    """Comma-separated names of variations; the standard, with which they are compared, is always run."""
    planners: str = "keyin"
    """Comma-separated planners of planner.evaluate; each variation is run with each."""
    task: str = "push"
    servo: Literal["simulator", "learned"] = "learned"
    """Low level of planner.evaluate. The true dynamics know how the world has changed."""
    episodes: int = 100
    """How many of the frozen episodes, from the first."""
    workers: int = cores()
    seed: int = 0
    """Seed of the searches; the episodes do not depend on it."""
    model: str = "keyin-push"
    """Shipped model or model folder of the keyin planner."""
    learned: str = "struct-vrnn-push"
    """The same for the learned servo."""
    out: Path = Path("robustness.json")

    def select(self) -> list[str]:
        """The variations asked for, the standard first; an error names the valid ones."""
        names = [name.strip() for name in self.variations.split(",") if name.strip()]
        unknown = [name for name in names if name not in VARIATIONS]
        if unknown or not names:
            raise ValueError(
                f"unknown variation {', '.join(unknown) or '(none)'}; choose from {', '.join(VARIATIONS)}"
            )
        return list(dict.fromkeys([STANDARD, *names]))

    def evaluation(self, name: str) -> Push:
        """The evaluation that yields this variation's rows."""
        return Push(
            planners=self.planners,
            task=self.task,
            servo=self.servo,
            compare=False,
            variation=VARIATIONS[name][1],
            episodes=self.episodes,
            workers=self.workers,
            seed=self.seed,
            model=self.model,
            learned=self.learned,
            out=self.out.with_name(self.out.name + ".variations") / f"{name}.json",
        )


def measure(run: Robustness, evaluation: Callable[[Push], dict[str, Any]] = evaluate_push) -> dict[str, Any]:
    """Run all variations and write their rows to ``run.out``; returns the JSON content."""
    rows: list[dict[str, Any]] = []
    result: dict[str, Any] = {}
    standard: dict[str, dict[str, Any]] = {}
    names = run.select()
    check_outputs("--out", run.out)
    for number, name in enumerate(names, start=1):
        job = run.evaluation(name)
        job.out.parent.mkdir(parents=True, exist_ok=True)
        tqdm.write(f"{name} ({number} of {len(names)}): {VARIATIONS[name][0]}")
        outcome = evaluation(job)
        if name == STANDARD:
            standard = {row["planner"]: row for row in outcome["rows"]}
        rows += [_row(name, row, standard[row["planner"]]) for row in outcome["rows"]]
        content = {"env": outcome["env"], "task": run.task, "manifest": outcome["manifest"], "rows": rows}
        result = write_results(run.out, "planner.robustness push", content, markdown(rows))
    return result


def _row(name: str, row: dict[str, Any], standard: dict[str, Any]) -> dict[str, Any]:
    copied = ("success_rate", "success_ci95", "strict_rate", "position_error_mean", "goals_unseen")
    what, variation = VARIATIONS[name]
    return {
        "variation": name,
        "what": what,
        "planner": row["planner"],
        "servo": row["servo"],
        "n": row["episodes"],
        **{figure: row[figure] for figure in copied},
        "success_change": row["success_rate"] - standard["success_rate"],
        "position_error_change": row["position_error_mean"] - standard["position_error_mean"],
        "changed": variation.model_dump(mode="json", exclude_defaults=True),
    }


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as a Markdown table."""
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
    return "\n".join(lines)


@command(resumes=True)
def main() -> None:
    """Command line entry point."""
    run = tyro.cli(
        tyro.extras.subcommand_type_from_defaults({"push": Robustness()}),
        prog="python -m planner.robustness",
        description=__doc__,
    )
    result = measure(run)
    tqdm.write(f"{result['table']}\n\nwritten: {run.out}")


if __name__ == "__main__":
    main()
