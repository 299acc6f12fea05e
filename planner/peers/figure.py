"""The picture of the comparison: what comes of how much time, and how time grows."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from world_models.jobs.figures import Axes, new_figure, save_figure

Rows = Sequence[Mapping[str, Any]]
COLOURS = {
    "ours, whole plan": "black",
    "ours": "C0",
    "plain loop": "C7",
    "stable-worldmodel CEMSolver": "C1",
    "torchrl CEMPlanner": "C2",
    "pytorch-mppi MPPI": "C3",
}


def draw(result: Mapping[str, Any], path: Path) -> None:
    """Draw :func:`planner.peers.comparison.compare`'s result as a PNG."""
    figure = new_figure(figsize=(15.0, 4.2))
    axes = figure.subplots(1, 1 + len(result["growth"]))
    _lines(axes[0], result["curves"], "ms", "pixels_mean")
    axes[0].set(xscale="log", xlabel="CPU ms of a search", ylabel="px from the goal, mean")
    axes[0].set_title("each in its best way", fontsize=10)
    for panel, (name, rows) in zip(axes[1:], result["growth"].items(), strict=True):
        _lines(panel, rows, name, "ms")
        panel.set(xscale="log", yscale="log", xlabel=name, ylabel="CPU ms of a search")
        panel.set_title(f"growth over {name}, scored by the reader", fontsize=10)
    for panel in axes:
        panel.grid(alpha=0.3)
    handles, labels = axes[1].get_legend_handles_labels()
    figure.tight_layout(rect=(0, 0.09, 1, 1))
    figure.legend(handles, labels, loc="lower center", ncols=6, fontsize=8)
    save_figure(figure, path, dpi=110)


def _lines(panel: Axes, rows: Rows, x: str, y: str) -> None:
    for solver in dict.fromkeys(row["solver"] for row in rows):
        points = [(row[x], row[y]) for row in rows if row["solver"] == solver]
        panel.plot(*zip(*points, strict=True), "o-", label=solver, color=COLOURS.get(solver), markersize=4)
