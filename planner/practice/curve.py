"""Returns against steps of the environment, while a model practises."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from world_models.data import SequenceDataset, read_attributes
from world_models.jobs.figures import new_figure, save_figure


@dataclass(frozen=True)
class Point:
    """Episodes recorded together: their mean return, and the environment's steps up to their end."""

    steps: int
    mean_return: float
    random: bool
    """Whether they are of random actions."""


def read_points(episodes: Path) -> list[Point]:
    """What a folder of recorded episodes tells, in the order of their recording.

    Raises:
        DataError: there are none.
    """
    points, steps = list[Point](), 0
    for path in SequenceDataset(episodes).paths:
        attributes = read_attributes(path)
        steps += int(attributes["environment_steps"])
        points.append(Point(steps, float(attributes["mean_return"]), attributes["model"] == "random"))
    return points


def draw_curve(points: Sequence[Point], task: str, path: Path) -> None:
    """Write the curve as PNG."""
    figure = new_figure(figsize=(6.4, 4.0))
    axes = figure.subplots()
    for random, colour, label in ((True, "0.6", "random actions"), (False, "C0", "planned, with noise")):
        some = [point for point in points if point.random == random]
        axes.plot(
            [point.steps for point in some],
            [point.mean_return for point in some],
            color=colour,
            marker="o",
            markersize=3,
            linewidth=1,
            label=label,
        )
    axes.set(
        xlabel="steps of the environment, those that the detector learned from included",
        ylabel="mean return of 5 recorded episodes",
        title=task,
        ylim=(0, 1000),
    )
    axes.set_xlim(left=0)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.tight_layout()
    save_figure(figure, path, dpi=130)
