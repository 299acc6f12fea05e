"""The picture of the table of action recognition: who takes what for what."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from world_models.jobs.figures import new_figure, save_figure

COLUMNS = 3
SAID = 0.05
"""Shares from here on are written into the cells."""


def confusion_matrices(
    matrices: Mapping[str, Sequence[Sequence[float]]],
    correct: Mapping[str, float],
    classes: Sequence[str],
    path: Path,
) -> None:
    """One panel per arm: rows are true actions, columns what the classifier says, numbers percent of a row.

    Args:
        matrices: shares ``[true, answered]`` by arm; rows add up to 1, 0 for an action that is not tested.
        correct: share of all answers that are right by arm, as in the table.
        classes: names of the actions.
        path: PNG to write.
    """
    height = -(-len(matrices) // COLUMNS)
    figure = new_figure(figsize=(4.6 * COLUMNS, 4.4 * height))
    axes = figure.subplots(height, COLUMNS, squeeze=False)
    for panel, (arm, rows) in zip(axes.flat, matrices.items(), strict=False):
        shares = np.array(rows)
        panel.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
        for (true, said), share in np.ndenumerate(shares):
            if share >= SAID:
                colour = "white" if share > 0.5 else "black"
                panel.text(
                    said, true, f"{100 * share:.0f}", ha="center", va="center", color=colour, fontsize=7
                )
        ticks = range(len(classes))
        panel.set_xticks(ticks, classes, rotation=60, ha="right", fontsize=7)
        panel.set_yticks(ticks, classes, fontsize=7)
        panel.set(title=f"{arm}: {100 * correct[arm]:.0f} % right", xlabel="classifier says")
    for panel in axes.flat[len(matrices) :]:
        panel.set_axis_off()
    for row in axes:
        row[0].set(ylabel="true action")
    figure.tight_layout()
    save_figure(figure, path, dpi=110)
