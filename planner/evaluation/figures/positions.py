"""Where pucks ended up."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from envs.push.env import STRICT_SUCCESS, SUCCESS
from world_models.jobs.figures import Circle, new_figure, save_figure


def final_positions(records: Mapping[str, Sequence[dict[str, Any]]], path: Path) -> None:
    """Plot, per planner, where the puck ended relative to its goal, and how the distances are distributed."""
    columns = max(len(records), 1)
    figure = new_figure(figsize=(3.2 * columns, 6.2))
    axes = figure.subplots(2, columns, squeeze=False)
    for column, (planner, episodes) in enumerate(records.items()):
        offset = np.array([np.subtract(e["final_puck"], e["goal"]) for e in episodes])
        distance = np.array([e["distance"] for e in episodes])
        top, bottom = axes[0][column], axes[1][column]
        colours = np.select(
            [distance < STRICT_SUCCESS, distance < SUCCESS], ["#2a7f3f", "#d08a1d"], default="#b3261e"
        )
        top.scatter(offset[:, 0], offset[:, 1], s=8, c=colours, alpha=0.7, linewidths=0)
        top.add_patch(Circle((0, 0), SUCCESS, fill=False, color="grey", linewidth=0.8))
        top.set(xlim=(-1.6, 1.6), ylim=(-1.6, 1.6), aspect="equal", title=planner, xlabel="puck - goal, x")
        bottom.hist(distance, bins=np.linspace(0, 2, 41), color="#44617b")
        bottom.axvline(SUCCESS, color="grey", linewidth=0.8)
        bottom.set(xlabel="shortest path to goal", ylabel="episodes" if column == 0 else "")
    axes[0][0].set_ylabel("puck - goal, y")
    figure.tight_layout()
    save_figure(figure, path, dpi=130)
