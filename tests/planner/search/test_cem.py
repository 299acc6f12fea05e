from collections.abc import Callable
from typing import Any

import cma
import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from planner.search.cem import CemConfig, CemStep, cem, cheapest

ICEM = {"noise_exponent": 2.0, "kept_fraction": 0.3, "mean_candidate": True}


def seeded(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def search(score: Callable[[Tensor], Tensor], shape: tuple[int, ...], **settings: object) -> list[CemStep]:
    config = CemConfig(**settings)
    return list(cem(score, torch.zeros(shape), torch.ones(shape), config, seeded(*range(shape[0]))))


def recorded(score: Callable[[Tensor], Tensor]) -> tuple[Callable[[Tensor], Tensor], list[Tensor]]:
    seen: list[Tensor] = []

    def recording(candidates: Tensor) -> Tensor:
        seen.append(candidates.clone())
        return score(candidates)

    return recording, seen


def sphere(candidates: Tensor) -> Tensor:
    return candidates.square().sum(dim=(2, 3))


@pytest.mark.parametrize("shape", [(1, 1, 2), (3, 4, 2), (2, 6, 3)])
def test_finds_the_minimum_of_a_separable_quadratic(shape: tuple[int, int, int]) -> None:
    minimum = torch.randn(shape, generator=seeded(7)[0])
    scale = torch.linspace(1, 10, shape[1] * shape[2]).reshape(shape[1:])

    def score(candidates: Tensor) -> Tensor:
        return (scale * (candidates - minimum[:, None]).square()).sum(dim=(2, 3))

    last = search(score, shape, candidates=400, iterations=30, elite_fraction=0.1)[-1]
    torch.testing.assert_close(last.best, minimum, atol=0.02, rtol=0)
    torch.testing.assert_close(last.mean, minimum, atol=0.02, rtol=0)


def test_finds_the_minimum_of_a_correlated_quadratic() -> None:
    matrix = torch.randn(6, 6, generator=seeded(1)[0])
    matrix = matrix @ matrix.T + torch.eye(6)
    linear = torch.randn(6, generator=seeded(2)[0])

    def score(candidates: Tensor) -> Tensor:
        x = candidates.flatten(2)
        return 0.5 * ((x @ matrix) * x).sum(-1) - x @ linear

    last = search(score, (1, 3, 2), candidates=500, iterations=60, elite_fraction=0.1)[-1]
    expected = -0.5 * linear @ torch.linalg.solve(matrix, linear)
    assert last.best_cost.item() == pytest.approx(expected.item(), abs=5e-3)


def test_as_good_as_cma_on_many_local_minima() -> None:
    def value(x: np.ndarray) -> float:
        return float(np.sum(x**4 / 4 - x**2 + 0.3 * x))

    _, strategy = cma.fmin2(value, np.full(4, -0.5), 0.5, {"seed": 1, "verbose": -9})

    def score(candidates: Tensor) -> Tensor:
        return (candidates**4 / 4 - candidates.square() + 0.3 * candidates).sum(dim=(2, 3))

    last = search(score, (1, 2, 2), candidates=400, iterations=15)[-1]
    assert last.best_cost.item() <= strategy.result.fbest + 1e-3


def test_first_population_is_the_seeded_prior() -> None:
    score, seen = recorded(sphere)
    mean, std = torch.full((1, 3, 2), 2.0), torch.full((1, 3, 2), 0.5)
    list(cem(score, mean, std, CemConfig(candidates=50, iterations=1), seeded(5)))
    noise = torch.randn(50, 3, 2, generator=seeded(5)[0])
    torch.testing.assert_close(seen[0][0], 2 + 0.5 * noise)


@pytest.mark.parametrize(
    ("candidates", "fraction", "elites"), [(200, 0.05, 10), (10, 0.05, 2), (20, 0.5, 10), (7, 1.0, 7)]
)
def test_refit_is_the_gaussian_of_the_elites(candidates: int, fraction: float, elites: int) -> None:
    score, seen = recorded(lambda c: c[:, :, 0, 0].sin())
    step = search(score, (2, 3, 2), candidates=candidates, iterations=1, elite_fraction=fraction)[0]
    for row, drawn in enumerate(seen[0].numpy()):
        order = np.argsort(np.sin(drawn[:, 0, 0]), kind="stable")[:elites]
        np.testing.assert_allclose(step.mean[row], drawn[order].mean(axis=0), atol=1e-6)
        np.testing.assert_allclose(step.std[row], drawn[order].std(axis=0), atol=1e-6)


def test_next_population_comes_from_the_refit() -> None:
    score, seen = recorded(sphere)
    first, _ = search(score, (1, 2, 2), candidates=4000, iterations=2)
    torch.testing.assert_close(seen[1].mean(dim=1), first.mean, atol=0.05, rtol=0)
    torch.testing.assert_close(seen[1].std(dim=1), first.std, atol=0.05, rtol=0)


def test_population_is_sorted_and_matches_its_costs() -> None:
    for step in search(sphere, (2, 3, 2), candidates=64):
        assert (step.costs.diff(dim=1) >= 0).all()
        assert torch.equal(sphere(step.candidates), step.costs)


def test_samples_are_clipped_to_the_bound() -> None:
    score, seen = recorded(lambda c: -c.sum(dim=(2, 3)))
    steps = search(score, (1, 2, 2), candidates=300, iterations=10, bound=0.5)
    assert all(population.abs().max() == 0.5 for population in seen)
    assert torch.equal(steps[-1].best, torch.full((1, 2, 2), 0.5))


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_non_finite_costs_never_win(bad: float) -> None:
    def score(candidates: Tensor) -> Tensor:
        costs = sphere(candidates)
        return torch.where(candidates[:, :, 0, 0] < 0, bad, costs)

    for step in search(score, (2, 2, 2), candidates=100):
        assert (step.best[:, 0, 0] >= 0).all()
        assert step.best_cost.isfinite().all()
        assert not step.costs.isnan().any()
        assert step.mean.isfinite().all()


def test_all_costs_non_finite_still_answers_with_a_drawn_candidate() -> None:
    score, seen = recorded(lambda c: torch.full(c.shape[:2], torch.nan))
    last = search(score, (1, 2, 2), candidates=20)[-1]
    assert last.best_cost.item() == torch.inf
    assert torch.equal(last.best, seen[0][:, 0])


def test_ties_keep_the_order_drawn() -> None:
    score, seen = recorded(lambda c: torch.zeros(c.shape[:2]))
    steps = search(score, (2, 3, 2), candidates=300, iterations=2)
    for step, drawn in zip(steps, seen, strict=True):
        assert torch.equal(step.candidates, drawn)
    assert torch.equal(steps[-1].best, seen[0][:, 0])


def test_best_is_the_cheapest_of_everything_seen() -> None:
    # A score that moves its minimum away makes later populations worse than the first.
    calls = []

    def score(candidates: Tensor) -> Tensor:
        calls.append(candidates)
        return sphere(candidates) + 10 * (len(calls) - 1) * (candidates[:, :, 0, 0] > -0.5)

    steps = search(score, (3, 2, 2), candidates=50, iterations=6)
    history = torch.stack([step.best_cost for step in steps])
    assert (history.diff(dim=0) <= 0).all()
    so_far = torch.full((3,), torch.inf)
    for step in steps:
        so_far = torch.minimum(so_far, step.costs.min(dim=1).values)
        assert torch.equal(step.best_cost, so_far)


def receding(candidates: Tensor, calls: list[Tensor]) -> Tensor:
    """A sphere whose every later iteration costs 100 more, as if the search had gone astray."""
    calls.append(candidates)
    return sphere(candidates) + 100 * (len(calls) - 1)


def test_the_answer_is_the_best_ever_seen_and_not_that_of_the_last_population() -> None:
    calls: list[Tensor] = []
    steps = search(lambda c: receding(c, calls), (2, 3, 2), candidates=50, iterations=4)
    for row in range(2):
        order = sphere(calls[0])[row].argsort(stable=True)[:5]
        decisions, costs = cheapest(steps, row, 5, CemConfig())
        assert torch.equal(decisions, calls[0][row, order])
        assert torch.equal(costs, sphere(calls[0])[row, order])
        assert torch.equal(decisions[0], steps[-1].best[row])
        plain, plain_costs = cheapest(steps, row, 5, CemConfig(best_ever=False))
        assert torch.equal(plain, steps[-1].candidates[row, :5])
        assert (plain_costs > 100).all()


def test_the_cheapest_are_those_of_all_populations_together() -> None:
    score, seen = recorded(sphere)
    steps = search(score, (2, 3, 2), candidates=40, iterations=5, elite_fraction=0.3, **ICEM)
    for row in range(2):
        everything = torch.cat([population[row] for population in seen])
        order = sphere(everything[None])[0].argsort(stable=True)
        decisions, costs = cheapest(steps, row, 60, CemConfig())
        assert len(decisions) == len(costs) == 60
        assert torch.equal(decisions, everything[order[:60]])
        assert len(decisions.unique(dim=0)) == 60, "a kept elite is listed once"


@pytest.mark.parametrize(("exponent", "length"), [(0.0, 8), (1.0, 8), (2.0, 7), (3.0, 8), (2.0, 2), (2.0, 1)])
def test_noise_has_the_spectrum_asked_for_and_unit_variance(exponent: float, length: int) -> None:
    score, seen = recorded(sphere)
    search(score, (1, length, 2), candidates=40_000, iterations=1, noise_exponent=exponent)
    noise = seen[0][0]
    torch.testing.assert_close(noise.std(dim=0), torch.ones(length, 2), atol=0.03, rtol=0)
    torch.testing.assert_close(noise.mean(dim=0), torch.zeros(length, 2), atol=0.03, rtol=0)
    power = torch.fft.rfft(noise, dim=1).abs().square().mean(dim=(0, 2))
    # Frequency zero has the power of frequency one, as in iCEM.
    expected = torch.arange(len(power)).clamp(min=1).float() ** -exponent
    torch.testing.assert_close(power / power[0], expected, atol=0.03, rtol=0)


def test_kept_elites_stand_again_without_being_scored_again() -> None:
    calls: list[Tensor] = []
    first, second = search(
        lambda c: receding(c, calls),
        (2, 2, 2),
        candidates=20,
        iterations=2,
        elite_fraction=0.2,
        kept_fraction=0.5,
    )
    assert [len(c[0]) for c in calls] == [20, 20]
    assert not (second.candidates[0, :, None] == first.candidates[0, None, :2]).all(dim=(2, 3)).any()
    for row in range(2):
        elites = torch.cat([first.candidates[row, :2], second.candidates[row, :2]])
        torch.testing.assert_close(second.mean[row], elites.mean(dim=0))
        torch.testing.assert_close(second.std[row], elites.std(dim=0, correction=0))


def test_the_mean_is_a_candidate_of_the_last_iteration_only() -> None:
    score, seen = recorded(sphere)
    steps = search(score, (2, 2, 2), candidates=30, iterations=3, mean_candidate=True)
    for mean, population, expected in zip((s.mean for s in steps), seen[1:], (False, True), strict=False):
        assert bool((population == mean[:, None]).all(dim=(2, 3)).any(dim=1).all()) == expected


def test_the_candidate_given_stands_in_the_first_iteration() -> None:
    score, seen = recorded(sphere)
    zeros, first = torch.zeros(2, 3, 2), torch.full((2, 3, 2), 1e-3)
    steps = list(cem(score, zeros, zeros + 1, CemConfig(candidates=20), seeded(0, 1), first))
    assert torch.equal(steps[0].best, first)
    assert not (seen[1] == first[:, None]).all(dim=(2, 3)).any()


def test_improvements_search_better_than_the_plain_method() -> None:
    def score(candidates: Tensor) -> Tensor:  # decisions move a point, far away in the end: smooth ones win
        return (candidates.cumsum(dim=2)[:, :, -1] - torch.tensor([7.0, -6.0])).square().sum(dim=2)

    shape, sizes = (20, 8, 2), {"candidates": 20, "iterations": 2, "elite_fraction": 0.2, "bound": 1.0}
    costs = [search(score, shape, **sizes, **extra)[-1].best_cost.mean() for extra in ({}, ICEM)]
    assert costs[1] < 0.5 * costs[0]


@pytest.mark.parametrize("shape", [(8, 2), (6, 3), (1, 1), (5, 17), (6, 16)])
@pytest.mark.parametrize("improvements", [{}, ICEM])
def test_a_row_gets_the_same_bits_alone_or_in_a_batch(
    shape: tuple[int, int], improvements: dict[str, Any]
) -> None:
    config = CemConfig(candidates=200, bound=2.0, **improvements)
    seeds = (3, 1, 4, 1, 5)
    zeros = torch.zeros(5, *shape)
    first = torch.randn(5, *shape, generator=seeded(6)[0])
    together = list(cem(sphere, zeros, zeros + 1, config, seeded(*seeds), first))
    for row, seed in enumerate(seeds):
        alone = list(cem(sphere, zeros[:1], zeros[:1] + 1, config, seeded(seed), first[row : row + 1]))
        for one, many in zip(alone, together, strict=True):
            for name in ("candidates", "costs", "mean", "std", "best", "best_cost"):
                assert torch.equal(getattr(one, name)[0], getattr(many, name)[row]), name


def test_iterations_run_only_when_asked_for() -> None:
    score, seen = recorded(sphere)
    steps = cem(score, torch.zeros(1, 2, 2), torch.ones(1, 2, 2), CemConfig(candidates=10), seeded(0))
    assert [len(seen), next(steps).iteration, len(seen), next(steps).iteration, len(seen)] == [0, 1, 1, 2, 2]


@pytest.mark.usefixtures("unchecked")
def test_wrong_inputs_are_named() -> None:
    zeros = torch.zeros(2, 3, 2)
    with pytest.raises(ValueError, match="2 rows, 1 generators"):
        cem(sphere, zeros, zeros + 1, CemConfig(), seeded(0))
    with pytest.raises(ValueError, match=r"shape \[2, 200\], got \[2\]"):
        next(cem(lambda c: c[:, 0, 0, 0], zeros, zeros + 1, CemConfig(), seeded(0, 1)))
    with pytest.raises(ValueError, match=r"shape of mean, \[2, 3, 2\], got \[2, 4, 2\]"):
        cem(sphere, zeros, zeros + 1, CemConfig(), seeded(0, 1), torch.zeros(2, 4, 2))


@pytest.mark.parametrize(
    "settings",
    [
        {"candidates": 1},
        {"iterations": 0},
        {"elite_fraction": 0},
        {"elite_fraction": 1.1},
        {"bound": 0},
        {"noise_exponent": -1},
        {"kept_fraction": 1.1},
        {"x": 1},
    ],
)
def test_config_rejects(settings: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        CemConfig.model_validate(settings)
