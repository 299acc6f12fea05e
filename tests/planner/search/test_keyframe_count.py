"""How many subgoals a plan has, where that can be chosen."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from planner.search.hierarchy import Count, Planner
from world_models.interface import Context

Contexts = Callable[..., Context]
Pictures = Callable[..., Tensor]


def planned(planner: Planner, start: Context, goal: Tensor, keyframes: Count | None) -> int:
    generators = [torch.Generator().manual_seed(row) for row in range(len(goal))]
    plan = planner.plan(start, goal, generators, keyframes=keyframes)
    assert plan.subgoals.shape[1] == plan.times.shape[1] == plan.decisions.shape[1]
    return plan.subgoals.shape[1]


def test_plans_have_as_many_subgoals_as_were_asked_for(
    counting_planner: Planner, toy_context: Contexts, toy_picture: Pictures
) -> None:
    start, goal = toy_context((20, 20)), toy_picture((30, 20))
    assert [planned(counting_planner, start, goal, count) for count in (1, 3, 6, None)] == [1, 3, 6, 6]
    for count in (0, 7):
        with pytest.raises(ValueError, match=f"plans 1 to 6 keyframes, not {count}"):
            planned(counting_planner, start, goal, count)


def test_auto_takes_what_the_model_finds_necessary(
    counting_planner: Planner, toy_context: Contexts, toy_picture: Pictures
) -> None:
    start = toy_context((20, 20))
    assert planned(counting_planner, start, toy_picture((26, 20)), "auto") == 1
    assert planned(counting_planner, start, toy_picture((44, 20)), "auto") == 3
    rows = toy_context((20, 20), (20, 20)), toy_picture((26, 20), (44, 20))
    assert planned(counting_planner, *rows, "auto") == 3  # all rows of a batch are as long as the longest
    sure = counting_planner.config.model_copy(update={"confidence": 0.99})
    surer = Planner(counting_planner.model, counting_planner.cost, sure, None, fewest=1)
    assert planned(surer, start, toy_picture((44, 20)), "auto") == 4


def test_a_fixed_number_is_all_that_other_models_plan(
    toy_planner: Planner, toy_context: Contexts, toy_picture: Pictures
) -> None:
    start, goal = toy_context((20, 20)), toy_picture((30, 20))
    assert planned(toy_planner, start, goal, 6) == 6
    assert not toy_planner.chooses
    with pytest.raises(ValueError, match="plans 6 keyframes, not 3"):
        planned(toy_planner, start, goal, 3)
    with pytest.raises(ValueError, match="does not choose the number of keyframes: it plans 6"):
        planned(toy_planner, start, goal, "auto")
