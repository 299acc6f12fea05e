"""Which of the candidates that a search has seen becomes the plan."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from planner.search.cem import CemConfig, CemStep, cheapest
from planner.search.plan import Choice, apart
from planner.search.rollout import repeat_row
from world_models.interface import WorldModel

Plausible = Callable[[Float[Tensor, "B C H W"]], Bool[Tensor, " B"]]
"""Which pictures look like real ones."""
Consistent = Callable[[Float[Tensor, "B C H W"], Float[Tensor, "B F"]], Bool[Tensor, " B"]]
"""(pictures, the features they were decoded from) -> which features are those of such a picture."""
Appraisal = Callable[[Float[Tensor, "B C H W"], Float[Tensor, "B G"]], Float[Tensor, " B"]]
"""(last pictures of plans, the cost's targets) -> what the plans cost."""


@dataclass(frozen=True)
class Taste:
    """What is asked of a plan beside its cost; see :class:`planner.search.hierarchy.Planner`."""

    shortlist: int
    choice: Literal["likeliest", "cheapest"]
    plausible: Plausible | None
    consistent: Consistent | None
    appraise: Appraisal | None

    def whole(self, frames: Float[Tensor, "L C H W"], features: Float[Tensor, "L F"]) -> Bool[Tensor, " L"]:
        """Which subgoals pass."""
        found = torch.ones(len(frames), dtype=torch.bool, device=frames.device)
        if self.plausible is not None:
            found = self.plausible(frames)
        return found if self.consistent is None else found & self.consistent(frames, features)

    @property
    def looks(self) -> bool:
        """Whether there is anything to look through a shortlist for."""
        return self.plausible is not None or self.consistent is not None


def choose(
    model: WorldModel[Any],
    state: Any,
    target: Float[Tensor, "B G"],
    steps: Sequence[CemStep],
    settings: CemConfig,
    row: int,
    alternatives: int,
    taste: Taste,
) -> list[Choice]:
    """The first choice among the candidates of a row's shortlist with the most plausible keyframes, and
    alternatives to it.
    """
    decisions, costs = cheapest(steps, row, taste.shortlist if taste.looks else 1, settings)
    future = model.imagine(repeat_row(state, row, len(costs)), decisions)
    # A candidate of infinite cost is considered only if there is nothing else.
    eligible = int(costs.isfinite().sum()) or len(costs)
    order = list(range(eligible))
    if taste.choice == "likeliest":
        order = decisions[:eligible].square().sum((1, 2)).sort(stable=True).indices.tolist()

    def decoded(k: int) -> Choice:
        features = future.features[k]
        subgoals = model.decode(features)
        cost = costs[k]
        if taste.appraise is not None:
            cost = taste.appraise(subgoals[-1:], target[row : row + 1])[0]
        whole = taste.whole(subgoals, features)
        return Choice(subgoals, future.times[k], cost, decisions[k], whole, features)

    chosen = decoded(order[0])
    for k in order[1:]:
        # Stops early, as most often the first is plausible and the rest need not be decoded.
        if bool(chosen.whole.all()):
            break
        other = decoded(k)
        if int(other.whole.sum()) > int(chosen.whole.sum()):
            chosen = other
    if not alternatives:
        return [chosen]
    plausible = int(chosen.whole.sum())
    every = (decoded(k) for k in order)
    return apart(chosen, [one for one in every if int(one.whole.sum()) == plausible], alternatives)
