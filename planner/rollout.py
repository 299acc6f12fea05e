"""Repeat a state for every candidate, imagine, score: what joins a model, a cost and the search.

Every model call has the same shape whatever the batch, and never mixes rows: matrix products may
round differently for another number of rows, so this is what makes the plan of a request the same
bits alone or fused with others.
"""

from dataclasses import fields, is_dataclass, replace
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor

from planner.cem import Score
from planner.costs import Cost
from world_models.interface import Context, Dynamics, State, WorldModel


def encode_rows(model: WorldModel[State], context: Context) -> State:
    """The state of a context of B rows, encoded one row at a time."""
    rows = range(context.frames.shape[0])
    states = [model.encode(Context(context.frames[b : b + 1], context.actions[b : b + 1])) for b in rows]
    if len(states) == 1:
        return states[0]
    columns = [_tensors(state) for state in states]
    joined = {name: torch.cat([column[name] for column in columns]) for name in columns[0]}
    return cast(State, replace(cast(Any, states[0]), **joined))


def target_rows(cost: Cost, goal: Float[Tensor, "B C H W"]) -> Float[Tensor, "B G"]:
    """The targets of B goal images, computed one row at a time."""
    return torch.cat([cost.target(goal[b : b + 1]) for b in range(goal.shape[0])])


def repeat_row(state: State, row: int, count: int) -> State:
    """A state with ``count`` rows, all equal to one row of ``state``."""
    repeated = {name: _repeat(tensor, row, count) for name, tensor in _tensors(state).items()}
    return cast(State, replace(cast(Any, state), **repeated))


def make_score(
    model: Dynamics[State],
    state: State,
    cost: Cost,
    target: Float[Tensor, "B G"],
    chunk: int,
) -> Score:
    """A score for the search: the cost of what ``model`` imagines from ``state``.

    The N candidates of each row reach the model in batches of exactly ``chunk``; the last one is
    filled up with zero decisions, whose costs are dropped.

    Raises:
        ValueError: if ``chunk`` is not positive, or candidates and target have unequal rows.
    """
    if chunk < 1:
        raise ValueError(f"chunk must be at least 1, got {chunk}")
    rows = range(target.shape[0])
    states = [repeat_row(state, b, chunk) for b in rows]
    targets = [_repeat(target, b, chunk) for b in rows]

    def score(candidates: Float[Tensor, "B N L D"]) -> Float[Tensor, "B N"]:
        if candidates.shape[0] != len(targets):
            raise ValueError(f"candidates have {candidates.shape[0]} rows, the target {len(targets)}")
        count = candidates.shape[1]
        costs = []
        for b in rows:
            pieces = [
                cost(model.imagine(states[b], decisions), decisions, targets[b])
                for decisions in _chunks(candidates[b], chunk)
            ]
            costs.append(pieces[0] if len(pieces) == 1 else torch.cat(pieces))
        return torch.stack(costs)[:, :count]

    return score


def _chunks(candidates: Float[Tensor, "N L D"], chunk: int) -> list[Float[Tensor, "chunk L D"]]:
    missing = -len(candidates) % chunk
    if missing:
        padding = candidates.new_zeros(missing, *candidates.shape[1:])
        candidates = torch.cat([candidates, padding])
    return [candidates[start : start + chunk] for start in range(0, len(candidates), chunk)]


def _repeat(tensor: Tensor, row: int, count: int) -> Tensor:
    # A copy even of one row: gradients cannot pass through tensors made in inference mode.
    return tensor[row].expand(count, *tensor.shape[1:]).clone(memory_format=torch.contiguous_format)


def _tensors(state: object) -> dict[str, Tensor]:
    if not is_dataclass(state) or isinstance(state, type):
        raise TypeError(f"a state must be a frozen dataclass of tensors, got {type(state).__name__}")
    values = {field.name: getattr(state, field.name) for field in fields(state)}
    for name, value in values.items():
        if not isinstance(value, Tensor):
            raise TypeError(f"state field {name!r} must be a tensor, got {type(value).__name__}")
    return values
