"""What a search for subgoals answers: a plan, chosen from the candidates it has seen."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from planner.search.cem import CemConfig, CemStep, cheapest

StopReason = Literal["iterations", "deadline", "cancelled"]


@dataclass(frozen=True)
class Plan:
    """Subgoals on the way to a goal.

    ``times`` counts environment frames from the last context frame; ``cost`` is that of the chosen
    candidate; ``history`` the lowest cost seen up to each iteration; ``whole`` says which subgoals
    passed the plausibility check (all, if the planner has none).
    """

    subgoals: Float[Tensor, "B L C H W"]
    times: Float[Tensor, "B L"]
    cost: Float[Tensor, " B"]
    history: Float[Tensor, "B I"]
    decisions: Float[Tensor, "B L Z"]
    whole: Bool[Tensor, "B L"]
    features: Float[Tensor, "B L F"]
    """The model's own features of the subgoals."""
    stop_reason: StopReason
    alternatives: tuple["Plan", ...] = ()
    """Other plans of the same search that were asked for, the most different one first."""


class Choice(NamedTuple):
    """One row of a plan."""

    subgoals: Float[Tensor, "L C H W"]
    times: Float[Tensor, " L"]
    cost: Float[Tensor, ""]
    decisions: Float[Tensor, "L Z"]
    whole: Bool[Tensor, " L"]
    features: Float[Tensor, "L F"]


def as_plan(rows: Sequence[Choice], history: Float[Tensor, "B I"], stop_reason: StopReason) -> Plan:
    """The chosen rows as one plan."""
    subgoals, times, cost, decisions, whole, features = (
        torch.stack(column) for column in zip(*rows, strict=True)
    )
    return Plan(subgoals, times, cost, history, decisions, whole, features, stop_reason)


def apart(chosen: Choice, others: Sequence[Choice], count: int) -> list[Choice]:
    """The chosen one and up to ``count`` others, each as far as can be from those before it."""
    picked, left = [chosen], list(others)
    while len(picked) <= count:
        distances = [
            min(float((one.decisions - two.decisions).square().sum()) for two in picked) for one in left
        ]
        # The chosen one is among the others, and may have twins.
        if max(distances, default=0.0) == 0.0:
            break
        picked.append(left.pop(distances.index(max(distances))))
    return picked


def condensed(steps: Sequence[CemStep], count: int, settings: CemConfig) -> CemStep:
    """One step in the place of many, with the candidates that :func:`~planner.search.cem.cheapest` finds in
    them.
    """
    rows = [cheapest(steps, row, count, settings) for row in range(len(steps[-1].costs))]
    candidates, costs = (torch.stack(column) for column in zip(*rows, strict=True))
    return replace(steps[-1], candidates=candidates, costs=costs)
