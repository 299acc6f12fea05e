"""Other plans of one search."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from planner.search.hierarchy import Planner
from planner.search.plan import Plan
from planner.search.rollout import drive


def planned(planner: Planner, context: Any, goal: Tensor, rows: int, alternatives: int) -> Plan:
    generators = [torch.Generator().manual_seed(7 + row) for row in range(rows)]
    work = planner.planning(context, goal, generators, alternatives=alternatives)
    return drive(work, lambda progress: None)


@pytest.fixture
def search(
    make_toy_planner: Callable[..., Planner],
    toy_context: Callable[..., Any],
    toy_picture: Callable[..., Tensor],
) -> Callable[..., Plan]:
    """``search(alternatives, rows=1, **settings)``: a plan across the toy table."""

    def search(alternatives: int, rows: int = 1, **settings: Any) -> Plan:
        starts, goals = [(20.0, 40.0)] * rows, [(44.0, 20.0)] * rows
        planner = make_toy_planner(keyframes=3, **settings)
        return planned(planner, toy_context(*starts), toy_picture(*goals), rows, alternatives)

    return search


def gaps(plan: Plan) -> list[float]:
    """How far each plan is from the nearest of those before it, in decisions."""
    made = [plan, *plan.alternatives]
    return [
        min(float((one.decisions[0] - two.decisions[0]).square().sum()) for two in made[:k])
        for k, one in enumerate(made)
        if k
    ]


def test_the_plan_is_the_same_with_and_without_alternatives(search: Callable[..., Plan]) -> None:
    alone, beside = search(0), search(3)
    assert alone.alternatives == () and len(beside.alternatives) == 3
    for name in ("subgoals", "times", "cost", "history", "decisions", "whole"):
        assert torch.equal(getattr(alone, name), getattr(beside, name))


def test_alternatives_are_as_plausible_and_as_different_as_can_be(search: Callable[..., Plan]) -> None:
    plan = search(4)
    assert all(bool(other.whole.all()) and bool(other.cost.isfinite()) for other in plan.alternatives)
    found = gaps(plan)
    assert len(found) == 4 and min(found) > 0 and found == sorted(found, reverse=True)
    assert [len(search(count).alternatives) for count in (1, 2)] == [1, 2]
    assert torch.equal(search(1).alternatives[0].decisions, plan.alternatives[0].decisions)


def test_a_short_list_has_few_alternatives_or_none(search: Callable[..., Plan]) -> None:
    assert len(search(5, shortlist=3).alternatives) <= 2
    assert search(5, shortlist=1).alternatives == ()


def test_rows_have_as_many_alternatives_as_all_of_them(search: Callable[..., Plan]) -> None:
    both = search(2, rows=2)
    assert [tuple(other.subgoals.shape[:2]) for other in both.alternatives] == [(2, 3)] * 2
    assert torch.equal(both.alternatives[0].decisions[0], search(1).alternatives[0].decisions[0])
