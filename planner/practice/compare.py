"""Learning curves beside published ones: ``python -m planner.practice.compare runs/walker-walk ...``.

A panel per task: mean returns of the episodes that runs of ``world_models.train dmc-control`` recorded while
they learned, noise and all, and what published agents earned from pictures. With ``--evaluated`` also what
the finished models earn without noise. The numbers are written beside the picture as JSON.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import tyro

from planner.practice.curve import Point, read_points
from planner.practice.published import SOURCES, published
from planner.practice.run import FOLDER
from planner.report import read_measurement
from world_models.checkpoint import read_model
from world_models.files import write_bytes
from world_models.jobs.command import command
from world_models.jobs.figures import Axes, new_figure, save_figure
from world_models.jobs.outputs import check_outputs
from world_models.training.run import SETTINGS

COLUMNS = 3
LEGEND = 2.1
"""Inches beside the panels."""
MARKERS = "osD^vP*X"


@dataclass(frozen=True)
class Compare:
    """Which runs are drawn, and where to."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Folders of runs of world_models.train dmc-control; several of one task are drawn together."""
    evaluated: tuple[Path, ...] = ()
    """Results of planner.evaluate dmc that tell what finished models of these runs earn."""
    out: Path = Path("learning.png")
    """PNG to write; the numbers go to the same name with .json."""


@dataclass(frozen=True)
class Run:
    """A run's curve, and what its model earned in an evaluation, if it has one of either."""

    folder: Path
    task: str
    points: Sequence[Point]
    earned: Mapping[str, Any] | None


def read_run(folder: Path, evaluated: Sequence[Mapping[str, Any]]) -> Run:
    """A run of practice, finished or not.

    Raises:
        ValueError: the folder holds no such run.
        DataError: nothing was recorded yet.
    """
    settings = folder / SETTINGS
    chosen = json.loads(settings.read_text())["data"] if settings.is_file() else {}
    if "practice" not in chosen:
        raise ValueError(f"{folder} is no run of world_models.train dmc-control; give such folders")
    task = chosen["practice"]["task"]
    points = read_points(folder / FOLDER / task)
    return Run(folder, task, points, _earned(folder / "model", task, evaluated))


def _earned(model: Path, task: str, evaluated: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    if not model.exists():
        return None
    weights = read_model(model).weights_digest
    for content in evaluated:
        for row in content["rows"]:
            used = content["settings"].get(row["task"], {}).get(row["arm"], {})
            if row["task"] == task and used.get("weights_sha256") == weights:
                return {name: row[name] for name in ("episodes", "return_mean", "return_ci95")}
    return None


def compare(settings: Compare) -> dict[str, Any]:
    """Write the picture and the numbers; answers the latter.

    Raises:
        ValueError: there is nothing to draw, a folder or a file is not what it should be, or ``out`` is no
            place for the picture.
        DataError: a run has recorded nothing yet.
    """
    numbers = settings.out.with_suffix(".json")
    if not settings.runs:
        raise ValueError("say which runs to draw: FOLDER FOLDER ...")
    if settings.out.suffix != ".png":
        raise ValueError(f"--out must end in .png, got {settings.out}")
    evaluated = [read_measurement(path) for path in settings.evaluated]
    for one in evaluated:
        if one.maker != "planner.evaluate dmc":
            raise ValueError(f"{one.path} is of {one.maker}; give results of planner.evaluate dmc")
    if numbers.resolve() in {path.resolve() for path in settings.evaluated}:
        raise ValueError(f"the numbers would overwrite {numbers}; choose another --out")
    check_outputs("--out", settings.out, numbers)
    tasks = defaultdict[str, list[Run]](list)
    for folder in settings.runs:
        run = read_run(folder, [one.content for one in evaluated])
        tasks[run.task].append(run)
    content = {
        "sources": dict(SOURCES),
        "tasks": {
            task: {
                "runs": [asdict(run) | {"folder": str(run.folder)} for run in runs],
                "published": [asdict(figure) for figure in published(task)],
            }
            for task, runs in tasks.items()
        },
    }
    write_bytes(numbers, (json.dumps(content, indent=2) + "\n").encode())
    draw(tasks, settings.out)
    return content


def draw(tasks: Mapping[str, Sequence[Run]], path: Path) -> None:
    """Write one panel per task as PNG."""
    columns = min(COLUMNS, len(tasks))
    rows = -(-len(tasks) // columns)
    figure = new_figure(figsize=(4.2 * columns + LEGEND, 3.4 * rows))
    panels: list[Axes] = list(figure.subplots(rows, columns, squeeze=False).flat)
    named = dict[str, Any]()
    for axes, (task, runs) in zip(panels, tasks.items(), strict=False):
        _draw_task(axes, task, runs)
        handles, labels = axes.get_legend_handles_labels()
        named |= dict(zip(labels, handles, strict=True))
    for axes in panels[len(tasks) :]:
        axes.set_axis_off()
    figure.legend(named.values(), named.keys(), loc="center right", fontsize=8, frameon=False)
    figure.tight_layout(rect=(0.0, 0.0, 1.0 - LEGEND / figure.get_figwidth(), 1.0))
    save_figure(figure, path, dpi=130)


def _draw_task(axes: Axes, task: str, runs: Sequence[Run]) -> None:
    for run in runs:
        steps = [point.steps for point in run.points]
        returns = [point.mean_return for point in run.points]
        axes.plot(
            steps, returns, color="black", linewidth=1.2, alpha=0.6, label="while it learns, with noise"
        )
        if run.earned is not None:
            low, high = run.earned["return_ci95"]
            mean = run.earned["return_mean"]
            errors = [[mean - low], [high - mean]]
            axes.errorbar(steps[-1], mean, errors, color="black", fmt="s", label="finished, without noise")
    for number, agent in enumerate(SOURCES):
        figures = [figure for figure in published(task) if figure.agent == agent]
        axes.plot(
            [figure.steps for figure in figures],
            [figure.mean_return for figure in figures],
            color=f"C{number}",
            marker=MARKERS[number],
            markersize=4,
            linewidth=0.6,
            linestyle=":",
            label=agent,
        )
    axes.set(title=task, xlabel="steps of the environment", ylabel="return", xscale="log", ylim=(0, 1030))
    axes.grid(alpha=0.3)


@command()
def main() -> None:
    """Command line entry point."""
    settings = tyro.cli(Compare, prog="python -m planner.practice.compare", description=__doc__)
    compare(settings)
    print(f"written: {settings.out}, {settings.out.with_suffix('.json')}")


if __name__ == "__main__":
    main()
