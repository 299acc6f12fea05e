"""The picture of :mod:`planner.curves`: four panels of success rates."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from envs.push.tasks import TASKS
from planner.subgoals import PLANNERS
from world_models.jobs.figures import Axes, Line2D, new_figure, save_figure

Entry = Mapping[str, Any]
Series = tuple[str, int | None]
"""A planner and the size of its plans."""

COLOURS = dict(zip(PLANNERS, (f"C{index}" for index in range(len(PLANNERS))), strict=True))
MARKERS = dict(zip(TASKS, "osD^vPX", strict=True))
Line = Literal["-", "--", ":", "-."]
LINES: tuple[Line, ...] = ("-", "--", ":", "-.")
"""Sizes of plans, in ascending order; they come round again after the fourth."""
APART = 0.1
"""Two walls stand this far right of the longest single one, table units."""


def panels(content: Mapping[str, Any], path: Path) -> None:
    """Draw the JSON content of :func:`planner.curves.draw` as one PNG."""
    lines = _line_styles(content["keyframes"])
    figure = new_figure(figsize=(11.0, 8.4))
    axes = figure.subplots(2, 2, sharey=True)
    _bands(axes[0][0], content["distance"], lines)
    axes[0][0].set(xlabel="initial shortest path to the goal, table units", title="length of the way")
    _bands(axes[0][1], content["half_length"], lines)
    _two_walls(axes[0][1], content["half_length"], content["two_walls"])
    axes[0][1].set(xlabel="half-length of the wall, table units", title="wall")
    _keyframes(axes[1][0], content["keyframes"])
    axes[1][0].set(xlabel="keyframes M in a plan, the goal included", title="size of plans")
    _simulator_steps(axes[1][1], content["simulator_steps"])
    axes[1][1].set(xlabel="simulator steps per episode, mean", title="search of the servo")
    for row in axes:
        row[0].set(ylim=(-0.03, 1.03), ylabel="success rate (95 % interval)")
    for panel in axes.flat:
        panel.grid(alpha=0.3)
    if not content["same_scenes"]:
        figure.suptitle("Not all planners ran all episodes: points may differ by what was run.", fontsize=10)
    handles = _legend(lines, content["keyframes"])
    figure.tight_layout(rect=(0, 0.06, 1, 1))
    figure.legend(handles=handles, loc="lower center", ncols=6, fontsize=8)
    save_figure(figure, path, dpi=130)


def _series(entry: Entry) -> Series:
    return entry["planner"], entry["keyframes"]


def _size(keyframes: int | None) -> int:
    """Sizes of plans in order, no size first."""
    return -1 if keyframes is None else keyframes


def _line_styles(entries: Sequence[Entry]) -> dict[Series, Line]:
    """Line styles of all series, planners in their usual order."""
    styles: dict[Series, Line] = {}
    for planner in PLANNERS:
        sizes = sorted({e["keyframes"] for e in entries if e["planner"] == planner}, key=_size)
        styles |= {(planner, size): LINES[index % len(LINES)] for index, size in enumerate(sizes)}
    return styles


def _whiskers(entries: Sequence[Entry]) -> np.ndarray:
    """Lengths of the error bars ``[2, n]`` below and above the rates."""
    rate = np.array([entry["success_rate"] for entry in entries])
    low, high = np.array([entry["success_ci95"] for entry in entries]).T
    return np.maximum([rate - low, high - rate], 0.0)


def _points(
    axes: Axes, places: Sequence[float], entries: Sequence[Entry], marker: str, line: str = ""
) -> None:
    """Rates of one planner with error bars."""
    axes.errorbar(
        places,
        [entry["success_rate"] for entry in entries],
        _whiskers(entries),
        color=COLOURS[entries[0]["planner"]],
        marker=marker,
        markersize=5,
        linestyle=line,
        linewidth=1,
        elinewidth=0.8,
    )


def _bands(axes: Axes, entries: Sequence[Entry], lines: Mapping[Series, Line]) -> None:
    """Binned rates of every series with their intervals as bands."""
    for series, line in lines.items():
        mine = [entry for entry in entries if _series(entry) == series]
        if len(mine) == 1:  # a band needs two places
            _points(axes, [mine[0]["mean"]], mine, ".")
        elif mine:
            places = [entry["mean"] for entry in mine]
            low, high = np.array([entry["success_ci95"] for entry in mine]).T
            rates = [entry["success_rate"] for entry in mine]
            axes.plot(places, rates, line, color=COLOURS[series[0]], marker=".")
            axes.fill_between(places, low, high, color=COLOURS[series[0]], alpha=0.12, linewidth=0)


def _two_walls(axes: Axes, single: Sequence[Entry], double: Sequence[Entry]) -> None:
    """Rates with two walls, apart at the right and side by side."""
    if not double:
        return
    ticks = sorted({round(entry["low"], 2) for entry in single})
    place = max((entry["high"] for entry in single), default=0.0) + APART
    spread = np.linspace(-APART / 3, APART / 3, len(double)) if len(double) > 1 else [0.0]
    for offset, entry in zip(spread, double, strict=True):
        _points(axes, [place + offset], [entry], MARKERS["push-two-walls"])
    axes.axvline(place - APART / 2, color="grey", linewidth=0.8)
    axes.set_xticks([*ticks, place], [*map(str, ticks), "two walls"])
    axes.set_xlim(None, place + APART / 2)


def _keyframes(axes: Axes, entries: Sequence[Entry]) -> None:
    """Rates by size of plans, tasks apart; planners without plans stand at the left."""
    known = sorted({entry["keyframes"] for entry in entries} - {None})
    places = {size: place for place, size in enumerate([None, *known])}
    pairs = list(dict.fromkeys((entry["planner"], entry["task"]) for entry in entries))
    for index, (planner, task) in enumerate(pairs):
        mine = [entry for entry in entries if (entry["planner"], entry["task"]) == (planner, task)]
        mine.sort(key=lambda entry: places[entry["keyframes"]])
        shift = 0.5 * (index + 0.5) / len(pairs) - 0.25  # side by side, so that intervals can be told apart
        line = "-" if all(entry["keyframes"] is not None for entry in mine) else ""
        _points(axes, [places[e["keyframes"]] + shift for e in mine], mine, MARKERS[task], line)
    axes.set_xticks([*places.values()], ["none", *map(str, known)])
    axes.set_xlim(-0.5, len(known) + 0.5)


def _simulator_steps(axes: Axes, entries: Sequence[Entry]) -> None:
    """Rates against what the servo searched, a point for each file, task and series."""
    for entry in entries:
        _points(axes, [entry["simulator_steps_mean"]], [entry], MARKERS[entry["task"]])
    axes.set_xlim(-0.03 * axes.get_xlim()[1], None)  # shares of steps are read off from zero


def _legend(lines: Mapping[Series, Line], entries: Sequence[Entry]) -> list[Line2D]:
    """Colours and lines of the series, markers of the tasks."""
    several = {planner for planner, _ in lines if sum(other == planner for other, _ in lines) > 1}
    handles = []
    for (planner, size), line in lines.items():
        label = f"{planner}, M = {'-' if size is None else size}" if planner in several else planner
        handles.append(Line2D([], [], color=COLOURS[planner], linestyle=line, label=label))
    tasks = [task for task in TASKS if any(entry["task"] == task for entry in entries)]
    return handles + [
        Line2D([], [], color="grey", marker=MARKERS[task], linestyle="", label=task) for task in tasks
    ]
