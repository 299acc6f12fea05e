"""Which subgoal of an episode is pursued, and when the next one."""

from typing import Literal

from jaxtyping import Float
from torch import Tensor, cat

from planner.goals import Goal

Status = Literal["continue", "switched", "missed", "done"]


class SubgoalQueue:
    """The subgoals still ahead; the goal picture is always the last of them."""

    def __init__(
        self,
        goal: Goal,
        picture: Float[Tensor, "1 C H W"],
        subgoal_radius: float,
        goal_radius: float,
        most_steps: int,
    ) -> None:
        """Pictures count as reached within a radius, in the goal's distance; a subgoal is given up after
        ``most_steps``.
        """
        self._goal, self._picture, self._most_steps = goal, picture, most_steps
        self._subgoal_radius, self._goal_radius = subgoal_radius, goal_radius
        self.follow(picture[:0])

    def follow(self, subgoals: Float[Tensor, "K C H W"]) -> None:
        """Take these subgoals, less those that show nothing of what is wanted, and the goal."""
        frames = cat([subgoals, self._picture])
        targets = self._goal.target(frames)
        seen = ~targets.isnan().any(dim=-1)
        seen[-1] = True
        self._frames, self._targets, self._places = frames[seen], targets[seen], seen.nonzero()[:, 0]
        self._next, self._steps = 0, 0

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
            reached = self._distance(found) < self._subgoal_radius
            if not reached and self._steps < self._most_steps:
                break
            status = "switched" if reached else "missed"
            self._next, self._steps = self._next + 1, 0
        if self.at_goal and self._distance(found) < self._goal_radius:
            return "done"
        self._steps += 1
        return status

    def _distance(self, found: Float[Tensor, "1 G"]) -> float:
        """To the current subgoal; infinite while what is wanted cannot be seen."""
        return float(self._goal.distance(found, self._targets[self._next : self._next + 1]))
