"""Costs of the way instead of its end: at every imagined step, against one target or a target each."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from planner.search.costs import Cost
from planner.search.rollout import target_rows
from world_models.interface import Future


@dataclass(frozen=True)
class Along:
    """The mean over the steps of a cost that looks at the last one.

    A cost of the last step alone dithers: any way is as good that arrives at the end of the horizon.
    """

    cost: Cost

    horizon: int
    """L, the number of steps."""

    def target(self, goal: Float[Tensor, "B C H W"]) -> Float[Tensor, "B G"]:
        """The wrapped cost's target, for every step the same."""
        return self.cost.target(goal).repeat(1, self.horizon)

    def follow(self, path: Float[Tensor, "{self.horizon} C H W"]) -> Float[Tensor, "1 G"]:
        """A target for every step: what one of these pictures shows."""
        return target_rows(self.cost, path).flatten()[None]

    def __call__(
        self, future: Future, decisions: Float[Tensor, "B L D"], target: Float[Tensor, "B G"]
    ) -> Float[Tensor, " B"]:
        """Infinite where the cost of a step is."""
        count = future.features.shape[1]
        targets = target.unflatten(-1, (self.horizon, -1))[:, :count].flatten(0, 1)
        steps = Future(future.features.flatten(0, 1)[:, None], future.times.flatten()[:, None])
        each = self.cost(steps, decisions.flatten(0, 1)[:, None], targets)
        return each.unflatten(0, (-1, count)).mean(-1)


def taken_along(path: Float[Tensor, "K C H W"], steps: int) -> Float[Tensor, "L C H W"]:
    """The first ``steps`` pictures of a path; whoever has arrived stays at its last one."""
    return path[torch.arange(steps).clamp(max=len(path) - 1)]
