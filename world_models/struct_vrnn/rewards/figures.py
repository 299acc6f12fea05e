"""The picture of :mod:`world_models.struct_vrnn.rewards.table`: errors of predicted rewards over time."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from world_models.jobs.figures import Axes, new_figure, save_figure
from world_models.statistics import mean_and_interval

COLUMNS = 3
COLOURS = ("C0", "C1", "C2", "C3", "C4", "C5", "C6", "C8", "C9")
"""Of trained arms, as many as there are; C7 is the grey of the null model."""
ANCHORS = {"null": "grey", "state-oracle": "black"}
KEYS = 6
"""Names in a row below the panels."""
LEAST = 1.05
"""The vertical axes reach at least this far, so that the null model at 1 is seen."""


def curves(rows: Sequence[Mapping[str, Any]], observed: int, path: Path) -> None:
    """Draw one panel per task: error over null at every frame, mean over seeds with its 95 % t-interval.

    Args:
        rows: rows of the table.
        observed: how many frames are seen; a vertical line shows where imagination begins.
        path: PNG to write.
    """
    tasks, arms = (list(dict.fromkeys(row[name] for row in rows)) for name in ("task", "arm"))
    trained = [arm for arm in arms if arm not in ANCHORS]
    colours = dict(zip(trained, COLOURS, strict=False)) | ANCHORS
    height = -(-len(tasks) // COLUMNS)
    below = 0.25 * -(-len(arms) // KEYS)
    figure = new_figure(figsize=(11.0, 0.55 + below + 3.2 * height))
    axes = figure.subplots(height, COLUMNS, sharex=True, sharey=True, squeeze=False)
    for panel, task in zip(axes.flat, tasks, strict=False):
        for arm in arms:
            steps = [row["per_step"] for row in rows if (row["arm"], row["task"]) == (arm, task)]
            _line(panel, np.array(steps), arm, colours[arm])
        panel.axvline(observed - 0.5, color="grey", linestyle=":", linewidth=1)
        panel.set(title=task)
        panel.grid(alpha=0.3)
    for panel in axes.flat[len(tasks) :]:
        panel.set_axis_off()
    for row in axes:
        row[0].set(ylabel="MSE / null (95 % interval over seeds)")
    for panel in axes[-1]:
        panel.set(xlabel=f"frame (seen up to {observed - 1}, then imagined)")
    axes[0][0].set_ylim(0.0, max(LEAST, axes[0][0].get_ylim()[1]))
    figure.tight_layout(rect=(0, below / height / 3.2, 1, 1))
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=min(len(arms), KEYS), fontsize=9)
    save_figure(figure, path, dpi=130)


def _line(axes: Axes, steps: np.ndarray, name: str, colour: str) -> None:
    """One arm: ``steps`` are errors ``[seeds, T]``."""
    frames = np.arange(steps.shape[1])
    intervals = [mean_and_interval(column.tolist()) for column in steps.T]
    means = np.array([mean for mean, _ in intervals])
    axes.plot(frames, means, "--" if name == "null" else "-", color=colour, marker=".", label=name)
    if len(steps) > 1:
        halves = np.array([half for _, half in intervals])
        axes.fill_between(frames, means - halves, means + halves, color=colour, alpha=0.15, linewidth=0)
