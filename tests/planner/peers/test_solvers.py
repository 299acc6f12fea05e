"""Every solver finds the bottom of a bowl, whosever it is."""

import pytest
import torch

from planner.peers import solvers
from planner.peers.solvers import OTHERS, OURS, PLAIN, Budget, Task, others

BOTTOM = torch.tensor([[0.5, -1.0], [1.0, 0.0], [-0.5, 0.5]])
INSTALLED = others()[0]
EVERY = [OURS, PLAIN, *INSTALLED]


def bowl(candidates):
    return (candidates - BOTTOM).square().sum((-1, -2))


def task(batch=1, seed=0, score=bowl):
    return Task(score, batch, 3, 2, Budget(candidates=200, iterations=6, elites=10), seed)


@pytest.mark.parametrize("solver", EVERY, ids=lambda one: one.name)
def test_it_finds_the_bottom(solver):
    # MPPI's noise stays as wide as it was, so that its mean comes less near.
    share = 0.15 if solver.batched else 0.4
    assert float(bowl(solver.solve(task()))) < share * float(bowl(torch.zeros(3, 2)))


@pytest.mark.parametrize("solver", [one for one in EVERY if one.batched], ids=lambda one: one.name)
def test_problems_side_by_side_are_solved_each(solver):
    shift = torch.tensor([0.0, 1.0])[:, None, None, None]
    found = solver.solve(task(2, score=lambda candidates: bowl(candidates - shift)))
    assert found.shape == (2, 3, 2)
    for row, at in enumerate((BOTTOM, BOTTOM + 1.0)):
        assert float((found[row] - at).square().sum()) < 0.6


@pytest.mark.parametrize("solver", EVERY, ids=lambda one: one.name)
def test_its_seed_decides_and_nobody_elses_noise_is_touched(solver):
    before = torch.random.get_rng_state()
    one, again, other = (solver.solve(task(seed=seed)) for seed in (3, 3, 4))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert torch.equal(before, torch.random.get_rng_state())


def test_infinite_costs_do_not_break_weights():
    for solver in EVERY:
        found = solver.solve(
            task(score=lambda candidates: bowl(candidates).where(candidates[..., 0, 0] > 0, torch.inf))
        )
        assert bool(found.isfinite().all()), solver.name


def test_what_is_not_installed_is_named(monkeypatch):
    def absent(name):
        raise ImportError(name)

    monkeypatch.setattr(solvers, "import_module", absent)
    assert others() == ([], list(OTHERS))
