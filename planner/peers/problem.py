"""What every search is given to solve, and what its answer is worth."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from planner.goals.objects import find_objects, picture_cost
from planner.loaded import ReadyPlanner
from planner.search.costs import Cost
from planner.search.hierarchy import Planner
from planner.search.rollout import encode_rows, repeat_row, target_rows
from world_models.goals import EmbeddingGoal
from world_models.interface import Context

Score = Callable[[Float[Tensor, "B N L D"]], Float[Tensor, "B N"]]
"""Costs of the candidates of B problems, lower is better."""


@dataclass(frozen=True)
class Problems:
    """B scenes to plan in, of one model.

    Attributes:
        planner: the model with our own whole search.
        context, goal: the first pictures and those of the goals, B rows.
        by_pictures: the cost of a future by the picture that its last keyframe decodes into.
        by_reader: the same read off its embedding.
    """

    planner: Planner
    context: Context
    goal: Float[Tensor, "B C H W"]
    by_pictures: Cost
    by_reader: Cost
    truth: Callable[[Float[Tensor, "B C H W"], Float[Tensor, "B G"]], Float[Tensor, " B"]]

    def __len__(self) -> int:
        return len(self.goal)

    def row(self, index: int) -> "Problems":
        """One scene alone."""
        return self.rows(slice(index, index + 1))

    def rows(self, rows: slice) -> "Problems":
        """Some scenes."""
        context = Context(self.context.frames[rows], self.context.actions[rows])
        return Problems(self.planner, context, self.goal[rows], self.by_pictures, self.by_reader, self.truth)

    def score(self, cost: Cost) -> Score:
        """What a search asks for costs: all candidates of all problems in one call of the model. Pictures
        are encoded here, so that this is paid once a plan.
        """
        model = self.planner.model
        state = encode_rows(model, self.context)
        target = target_rows(cost, self.goal)

        def score(candidates: Float[Tensor, "B N L D"]) -> Float[Tensor, "B N"]:
            batch, count = candidates.shape[:2]
            decisions = candidates.flatten(0, 1)
            repeated = _each_row(state, batch, count)
            future = model.imagine(repeated, decisions)
            return cost(future, decisions, target.repeat_interleave(count, 0)).view(batch, count)

        return score

    def true_cost(self, decisions: Float[Tensor, "B L D"]) -> Float[Tensor, " B"]:
        """What an answer is worth: how far the last picture that it decodes into is from the goal; pixels."""
        model = self.planner.model
        future = model.imagine(encode_rows(model, self.context), decisions)
        pictures = model.decode(future.features[:, -1])
        return self.truth(pictures, target_rows(self.by_pictures, self.goal))


def problems(ready: ReadyPlanner, context: Context, goal: Float[Tensor, "B C H W"]) -> Problems:
    """Problems of a planner that reads the costs in its search off embeddings.

    Raises:
        ValueError: the model has no reader, or is asked for no object.
    """
    planner = ready.planner
    if isinstance(ready.goal, EmbeddingGoal) or planner.appraise is None:
        raise ValueError(
            f"{ready.name} reads no places off embeddings: name a model with a reader, or add one by "
            "`python -m world_models.train reader --model ...`"
        )
    by_pictures = picture_cost(ready.goal, planner.model.decode)
    found = find_objects(ready.goal)
    return Problems(
        planner,
        context,
        goal,
        by_pictures,
        planner.cost,
        lambda pictures, to: found.distance(found.target(pictures), to),
    )


def _each_row(state: Any, batch: int, count: int) -> Any:
    """A state whose every row is there ``count`` times in turn."""
    if batch == 1:
        return repeat_row(state, 0, count)
    rows = [vars(repeat_row(state, row, count)) for row in range(batch)]
    return type(state)(**{name: torch.cat([one[name] for one in rows]) for name in rows[0]})
