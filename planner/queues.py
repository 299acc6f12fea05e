"""What is still ahead of a plan: subgoals to be reached in turn, or a path to be followed step by step."""

from dataclasses import dataclass
from math import ceil
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from planner.goals.goal import Goal

Status = Literal["continue", "switched", "missed", "done"]

PATIENCE = 1.25
"""A subgoal may take so many times its share of the steps that are left."""
SHOWN = 5
"""Pictures of a path, at most, that are kept to look at."""


@dataclass(frozen=True)
class Radii:
    """When pictures count as reached, in the goal's distance."""

    subgoal: float
    """A subgoal is reached within this, ..."""
    passing: float
    """... and within this if the straight way on to the next one passes it within ``subgoal``."""
    goal: float


class SubgoalQueue:
    """The subgoals still ahead; the goal picture is always the last of them."""

    def __init__(
        self,
        goal: Goal,
        picture: Float[Tensor, "1 C H W"],
        radii: Radii,
        most_steps: int | None,
    ) -> None:
        """A subgoal is given up after ``most_steps``, by default after its share of the steps that are left
        and a quarter more.
        """
        self._goal, self._picture, self._radii, self._most_steps = goal, picture, radii, most_steps
        self.follow(picture[:0], steps_left=0)

    def follow(self, subgoals: Float[Tensor, "K C H W"], steps_left: int) -> None:
        """Take these subgoals, less those that show nothing of what is wanted, and the goal, for so many
        steps.
        """
        self._steps_left = steps_left
        frames = torch.cat([subgoals, self._picture])
        targets = self._goal.target(frames)
        seen = ~targets.isnan().any(dim=-1)
        seen[-1] = True
        self._frames, self._targets, self._places = frames[seen], targets[seen], seen.nonzero()[:, 0]
        self._head_for(0)

    def _head_for(self, place: int) -> None:
        self._next, self._steps = place, 0
        legs = len(self._frames) - place
        self._patience = self._most_steps or ceil(PATIENCE * self._steps_left / legs)

    @property
    def subgoal(self) -> Float[Tensor, "1 C H W"]:
        """The picture that is pursued."""
        return self._frames[self._next : self._next + 1]

    @property
    def place(self) -> int:
        """Which of the pictures it was given is the subgoal; those that show nothing count."""
        return int(self._places[self._next])

    @property
    def at_goal(self) -> bool:
        """Whether there is nothing ahead but the goal."""
        return self._next == len(self._frames) - 1

    def advance(self, found: Float[Tensor, "1 G"]) -> Status:
        """Switch to the next subgoal if this one is reached or has taken too long."""
        status: Status = "continue"
        while not self.at_goal:
            reached = self._reaches(found)
            if not reached and self._steps < self._patience:
                break
            status = "switched" if reached else "missed"
            self._head_for(self._next + 1)
        if self.at_goal and self._distance(found) < self._radii.goal:
            return "done"
        self._steps += 1
        self._steps_left -= 1
        return status

    def _reaches(self, found: Float[Tensor, "1 G"]) -> bool:
        """Whether the subgoal counts as reached from here; there is one after it."""
        near, distance = self._radii.subgoal, self._distance(found)
        if near <= distance < self._radii.passing:
            subgoal, onward = self._targets[self._next], self._targets[self._next + 1]
            way = onward - found[0]
            share = ((subgoal - found[0]) @ way / (way @ way).clamp(min=1e-9)).clamp(0, 1)
            distance = self._distance(found + share * way)
        return distance < near

    def _distance(self, found: Float[Tensor, "1 G"]) -> float:
        """From there to the current subgoal; infinite while what is wanted cannot be seen."""
        return float(self._goal.distance(found, self._targets[self._next : self._next + 1]))


class PathQueue:
    """The frames still ahead, one for each step; the goal picture is always the last of them."""

    def __init__(self, goal: Goal, picture: Float[Tensor, "1 C H W"], goal_radius: float) -> None:
        """The goal counts as reached within the radius, in the goal's distance."""
        self._goal, self._picture, self._goal_radius = goal, picture, goal_radius
        self._target = goal.target(picture)
        self.follow(picture[:0], steps_left=0)

    def follow(self, frames: Float[Tensor, "K C H W"], steps_left: int) -> None:
        """Take these frames, less those that show nothing of what is wanted, and the goal."""
        seen = ~self._goal.target(frames).isnan().any(dim=-1) if len(frames) else torch.ones(0).bool()
        self._frames = torch.cat([frames[seen], self._picture])
        self.shown = torch.linspace(0, len(frames) - 1, min(SHOWN, len(frames))).round().long()
        self._next = 0

    def go_on(self) -> None:
        """A step is done."""
        self._next = min(self._next + 1, len(self._frames) - 1)

    @property
    def path(self) -> Float[Tensor, "K C H W"]:
        """What is to be seen after the coming steps."""
        return self._frames[self._next :]

    @property
    def subgoal(self) -> Float[Tensor, "1 C H W"]:
        """The next of them."""
        return self._frames[self._next : self._next + 1]

    @property
    def place(self) -> int:
        """Which of the frames that are ``shown`` is the next one to come; the goal comes after them."""
        return int((self.shown < self._next).sum())

    @property
    def at_goal(self) -> bool:
        """Whether there is nothing ahead but the goal."""
        return self._next == len(self._frames) - 1

    def advance(self, found: Float[Tensor, "1 G"]) -> Status:
        """Whether the goal is reached; frames pass whether they are or not."""
        near = float(self._goal.distance(found, self._target)) < self._goal_radius
        return "done" if near else "continue"
