from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from planner.search.cem import CemConfig, CemStep, cem

Score = Callable[[Tensor], Tensor]


def seeded(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def search(score: Score, shape: tuple[int, ...], **settings: Any) -> list[CemStep]:
    config = CemConfig(**settings)
    return list(cem(score, torch.zeros(shape), torch.ones(shape), config, seeded(*range(shape[0]))))


def quadratic(candidates: Tensor) -> Tensor:
    return (candidates - 0.5).square().sum(dim=(2, 3))


def weighted(candidates: Tensor, costs: Tensor, temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation by the definition, in double precision."""
    drawn, paid = candidates.double().numpy(), costs.double().numpy()
    finite = np.isfinite(paid)
    weights = np.where(finite, np.exp(-(paid - paid.min()) / (temperature * paid[finite].std())), 0.0)
    mean = np.average(drawn, axis=0, weights=weights)
    return mean, np.sqrt(np.average((drawn - mean) ** 2, axis=0, weights=weights))


@pytest.mark.parametrize("temperature", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("kept_fraction", [0.0, 0.5])
def test_the_refit_weighs_all_candidates_and_kept_elites(temperature: float, kept_fraction: float) -> None:
    def score(candidates: Tensor) -> Tensor:
        return quadratic(candidates).where(candidates[:, :, 0, 0] > -1, torch.nan)

    settings = {"candidates": 40, "elite_fraction": 0.2, "kept_fraction": kept_fraction}
    first, second = search(score, (2, 3, 2), iterations=2, temperature=temperature, **settings)
    kept = CemConfig(**settings).kept
    for row in range(2):
        pool = torch.cat([second.candidates[row], first.candidates[row, :kept]])
        costs = torch.cat([second.costs[row], first.costs[row, :kept]])
        for step, drawn, paid in (
            (first, first.candidates[row], first.costs[row]),
            (second, pool, costs),
        ):
            mean, std = weighted(drawn, paid, temperature)
            np.testing.assert_allclose(step.mean[row], mean, atol=1e-5)
            np.testing.assert_allclose(step.std[row], std, atol=1e-5)


def test_the_temperature_goes_from_the_best_candidate_to_all_alike() -> None:
    (cold,) = search(quadratic, (2, 3, 2), iterations=1, temperature=1e-6)
    torch.testing.assert_close(cold.mean, cold.best)
    (hot,) = search(quadratic, (2, 3, 2), iterations=1, temperature=1e6)
    torch.testing.assert_close(hot.mean, hot.candidates.mean(dim=1), atol=1e-4, rtol=0)
    torch.testing.assert_close(hot.std, hot.candidates.std(dim=1, correction=0), atol=1e-4, rtol=0)


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e30])
def test_the_unit_of_cost_does_not_matter(unit: float) -> None:
    (plain,) = search(quadratic, (1, 3, 2), iterations=1, temperature=0.5)
    (scaled,) = search(lambda c: unit * quadratic(c), (1, 3, 2), iterations=1, temperature=0.5)
    torch.testing.assert_close(scaled.mean, plain.mean, atol=1e-5, rtol=0)


@pytest.mark.parametrize("cost", [0.0, torch.inf, torch.nan])
def test_equal_costs_weigh_alike(cost: float) -> None:
    for step in search(lambda c: torch.full(c.shape[:2], cost), (1, 3, 2), candidates=30, temperature=1.0):
        torch.testing.assert_close(step.mean, step.candidates.mean(dim=1))


def test_finds_the_minimum_of_a_correlated_quadratic() -> None:
    matrix = torch.randn(6, 6, generator=seeded(1)[0])
    matrix = matrix @ matrix.T + torch.eye(6)
    linear = torch.randn(6, generator=seeded(2)[0])

    def score(candidates: Tensor) -> Tensor:
        x = candidates.flatten(2)
        return 0.5 * ((x @ matrix) * x).sum(-1) - x @ linear

    last = search(score, (1, 3, 2), candidates=500, iterations=60, temperature=0.2)[-1]
    expected = torch.linalg.solve(matrix, linear)
    torch.testing.assert_close(last.mean.flatten(), expected, atol=0.02, rtol=0)
    assert last.best_cost.item() == pytest.approx((-0.5 * linear @ expected).item(), abs=5e-3)


@pytest.mark.parametrize("shape", [(8, 2), (1, 1), (5, 17)])
def test_a_row_gets_the_same_bits_alone_or_in_a_batch(shape: tuple[int, int]) -> None:
    config = CemConfig(candidates=200, bound=2.0, noise_exponent=2.0, kept_fraction=0.3, temperature=0.3)
    seeds = (3, 1, 4, 1, 5)
    zeros = torch.zeros(5, *shape)
    together = list(cem(quadratic, zeros, zeros + 1, config, seeded(*seeds)))
    for row, seed in enumerate(seeds):
        alone = list(cem(quadratic, zeros[:1], zeros[:1] + 1, config, seeded(seed)))
        for one, many in zip(alone, together, strict=True):
            for name in ("candidates", "costs", "mean", "std", "best", "best_cost"):
                assert torch.equal(getattr(one, name)[0], getattr(many, name)[row]), name


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("inf")])
def test_config_rejects(temperature: float) -> None:
    with pytest.raises(ValidationError):
        CemConfig(temperature=temperature)
