"""Candidates whose cost is infinite say nothing of where to look."""

from collections.abc import Callable

import torch
from torch import Tensor

from planner.search.cem import CemConfig, CemStep, cem

SHAPE = (2, 3, 2)


def search(score: Callable[[Tensor], Tensor], iterations: int) -> list[CemStep]:
    config = CemConfig(candidates=80, iterations=iterations, elite_fraction=0.1)
    generators = [torch.Generator().manual_seed(row) for row in range(SHAPE[0])]
    return list(cem(score, torch.zeros(SHAPE), torch.ones(SHAPE), config, generators))


def only_finite(*finite: int) -> Callable[[Tensor], Tensor]:
    """Costs 0, 1, ... of some candidates by their number, all others of infinite cost."""

    def score(candidates: Tensor) -> Tensor:
        costs = torch.full(candidates.shape[:2], torch.inf)
        costs[:, list(finite)] = torch.arange(float(len(finite)))
        return costs

    return score


def test_candidates_of_infinite_cost_are_no_elites() -> None:
    (step,) = search(only_finite(5, 9), iterations=1)
    some = step.candidates[:, :2]
    torch.testing.assert_close(step.mean, some.mean(dim=1))
    torch.testing.assert_close(step.std, some.std(dim=1, correction=0))


def test_one_elite_moves_the_search_and_does_not_end_it() -> None:
    (step,) = search(only_finite(5), iterations=1)
    torch.testing.assert_close(step.mean, step.candidates[:, 0])
    assert torch.equal(step.std, torch.ones(2, 3, 2))


def test_where_nothing_is_known_the_search_goes_on_as_it_began() -> None:
    for step in search(only_finite(), iterations=3):
        assert torch.equal(step.mean, torch.zeros(2, 3, 2)) and torch.equal(step.std, torch.ones(2, 3, 2))
