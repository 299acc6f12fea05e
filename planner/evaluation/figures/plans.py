"""What planners proposed for one scene, and what came of it, side by side over its picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from planner.episode import Outcome
from planner.evaluation.evaluation import Evaluation
from planner.evaluation.worker import Worker
from planner.goals import Goal, make_goal
from world_models.eye import Eye
from world_models.frames import Picture, to_tensor

PLANNED, DONE, START, GOAL = "#ffb000", "#35e0ff", "#ffffff", "#2fd04f"
SIDE = 3.4
"""Inches of a panel."""


@dataclass(frozen=True)
class Panel:
    """One planner: its first plan over the start picture, and the path that was taken.

    Places are pixels ``[K, G]``, x and y of each object in turn; NaN where a picture shows none.
    """

    title: str
    picture: Picture
    planned: NDArray[np.float64]
    taken: NDArray[np.float64]


def panel(title: str, outcome: Outcome, goal: Goal, eye: Eye) -> Panel:
    """An episode as a panel, as ``eye`` saw it. The plan begins where the object is and ends at the goal."""
    frames = eye.see(np.stack(outcome.frames), outcome.calibration)
    with torch.inference_mode():
        taken = goal.target(to_tensor(frames)).double().numpy()
        ends = [strip[-1] for strip in outcome.strips[:1]]
        end = goal.target(to_tensor(np.stack(ends))).double().numpy() if ends else taken[:0]
    planned = np.array(outcome.plans[0] if outcome.plans else [], dtype=np.float64)
    between = planned.reshape(-1, taken.shape[1])
    return Panel(title, frames[0], np.concatenate([taken[:1], between, end]), taken)


def draw_plans(run: Evaluation, index: int, path: Path) -> None:
    """Run an episode with everybody, and draw what they have planned and done as one PNG."""
    worker, panels = Worker(run), []
    for trial in run.trials():
        outcome, goal = worker.outcome(trial, index), make_goal(worker.world(trial).goal)
        if outcome.strips and goal is not None:
            ended = "at the goal after" if outcome.stop == "goal" else "not in"
            title = f"{trial[0]}: {ended} {outcome.steps} steps"
            panels.append(panel(title, outcome, goal, worker.team(trial).eye))
    if panels:
        draw_panels(panels, path)


def draw_panels(panels: Sequence[Panel], path: Path) -> None:
    """Write the panels side by side as one PNG."""
    from world_models.jobs.figures import new_figure, save_figure

    figure = new_figure(figsize=(SIDE * len(panels), SIDE + 0.35))
    for axis, shown in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        axis.imshow(shown.picture, interpolation="nearest")
        for first in range(0, shown.planned.shape[1], 2):
            planned, taken = (way[:, first : first + 2] for way in (shown.planned, shown.taken))
            seen = planned[~np.isnan(planned).any(axis=1)]
            axis.plot(*taken.T, color=DONE, linewidth=1.6, alpha=0.9)
            axis.plot(*seen.T, color=PLANNED, linewidth=2.0, linestyle=(0, (4, 2)))
            axis.scatter(*seen[1:-1].T, s=70, facecolors="none", edgecolors=PLANNED, linewidths=2.0, zorder=3)
            axis.scatter(*seen[:1].T, s=40, color=START, zorder=4)
            axis.scatter(*seen[-1:].T, s=90, color=GOAL, marker="*", zorder=4)
        height, width = shown.picture.shape[:2]
        axis.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
        axis.set_title(shown.title, fontsize=10)
        axis.set_axis_off()
    figure.tight_layout(pad=0.4)
    save_figure(figure, path, dpi=130)
