"""Searches of thousands of iterations, of which not everything is remembered."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from planner.search.hierarchy import Planner
from planner.search.plan import Plan


def test_what_is_forgotten_of_a_long_search_changes_nothing(
    toy_planner: Planner,
    toy_context: Callable[..., Any],
    toy_picture: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[int] = []

    def plan() -> Plan:
        goal = toy_picture((45.0, 50.0))
        context = toy_context((20.0, 15.0))
        return toy_planner.plan(
            context,
            goal,
            [torch.Generator().manual_seed(3)],
            candidates=30,
            iterations=12,
            on_iteration=lambda step: seen.append(step.costs.shape[1]),
        )

    whole = plan()
    monkeypatch.setattr("planner.search.hierarchy._KEPT_STEPS", 2)
    short = plan()
    assert torch.equal(whole.subgoals, short.subgoals) and torch.equal(whole.history, short.history)
    assert torch.equal(whole.decisions, short.decisions)
    assert seen == [30] * 24  # who watches sees whole populations either way
