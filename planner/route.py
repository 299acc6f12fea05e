"""The way of an episode: which subgoal is pursued, and when the next one."""

from typing import Literal

import numpy as np
from jaxtyping import Float
from torch import Tensor, cat

from world_models.segmenter import ColorSegmenter


class Route:
    """The subgoals still ahead; the goal picture is always the last of them."""

    def __init__(
        self,
        segmenter: ColorSegmenter,
        goal: Float[Tensor, "1 C H W"],
        subgoal_radius: float,
        goal_radius: float,
        most_steps: int,
    ) -> None:
        """Pictures count as reached within a radius in pixels; a subgoal is given up after ``most_steps``."""
        self._segmenter, self._goal, self._most_steps = segmenter, goal, most_steps
        self._subgoal_radius, self._goal_radius = subgoal_radius, goal_radius
        self.follow(goal[:0])

    def follow(self, subgoals: Float[Tensor, "K C H W"]) -> None:
        """Take these subgoals, less those that show no object, and the goal."""
        frames = cat([subgoals, self._goal])
        centres = self._segmenter.blob(frames).centre
        seen = ~centres.isnan().any(dim=-1)
        seen[-1] = True
        self._frames, self._centres, self._places = frames[seen], centres[seen], seen.nonzero()[:, 0]
        self._next, self._steps = 0, 0

    @property
    def subgoal(self) -> Float[Tensor, "1 C H W"]:
        """The picture that is pursued."""
        return self._frames[self._next : self._next + 1]

    @property
    def place(self) -> int:
        """Which of the pictures it was given is the subgoal; those that show no object count."""
        return int(self._places[self._next])

    @property
    def at_goal(self) -> bool:
        """Whether there is nothing ahead but the goal."""
        return self._next == len(self._frames) - 1

    def advance(self, puck: Float[Tensor, "2"]) -> Literal["continue", "switched", "missed", "done"]:
        """Switch to the next subgoal if this one is reached or has taken too long."""
        status: Literal["continue", "switched", "missed"] = "continue"
        while not self.at_goal:
            reached = self._distance(puck) < self._subgoal_radius
            if not reached and self._steps < self._most_steps:
                break
            status = "switched" if reached else "missed"
            self._next, self._steps = self._next + 1, 0
        if self.at_goal and self._distance(puck) < self._goal_radius:
            return "done"
        self._steps += 1
        return status

    def _distance(self, puck: Float[Tensor, "2"]) -> float:
        """Pixels to the current subgoal; infinite while the puck cannot be seen."""
        distance = float((puck - self._centres[self._next]).norm())
        return distance if np.isfinite(distance) else np.inf
