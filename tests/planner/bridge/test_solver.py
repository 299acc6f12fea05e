"""The search as a solver of stable-worldmodel."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box

from planner.bridge.solver import SearchSolver
from planner.search.cem import CemConfig

CONFIG = SimpleNamespace(horizon=3, action_block=2)
SPACE = Box(-1.0, 1.0, (2, 1))
WANTED = torch.tensor([[1.0], [-2.0]])


class Walk:
    """A point on a line, moved by the sum of all actions; both environments have their own goal."""

    def __init__(self):
        self.seen = []

    def get_cost(self, info_dict, action_candidates):
        self.seen.append({name: value.shape for name, value in info_dict.items() if hasattr(value, "shape")})
        reached = torch.as_tensor(info_dict["place"]) + action_candidates.sum((-1, -2))[..., None]
        return (reached - torch.as_tensor(info_dict["goal"])).square().sum(-1)


class Guided(Walk):
    def get_action(self, info_dict, horizon, prefix_actions):
        self.asked = horizon
        return torch.full((len(info_dict["goal"]), horizon, 2), 0.25)


def configured(solver):
    solver.configure(action_space=SPACE, n_envs=2, config=CONFIG)
    return solver


def infos():
    return {"place": np.zeros((2, 1), np.float32), "goal": WANTED, "name": ["a", "b"]}


def reached(actions):
    return actions.sum((1, 2))


def test_it_finds_the_way_in_every_environment():
    model = Walk()
    solver = configured(SearchSolver(model, CemConfig(candidates=64, iterations=4)))
    found = solver(infos())
    assert (solver.n_envs, solver.horizon, solver.action_dim) == (2, 3, 2)
    assert found["actions"].shape == (2, 3, 2)
    torch.testing.assert_close(reached(found["actions"]), WANTED[:, 0], atol=0.15, rtol=0)
    assert model.seen[0] == {"place": (2, 64, 1), "goal": (2, 64, 1)}
    assert max(found["costs"]) < 0.03


def test_an_environment_gets_its_actions_alone_or_among_others():
    def solve(rows):
        solver = configured(SearchSolver(Walk(), seed=5))
        return solver.solve({name: value[rows] for name, value in infos().items()})["actions"]

    torch.testing.assert_close(solve(slice(0, 1))[0], solve(slice(0, 2))[0])


def test_searches_differ_and_seeds_repeat_them():
    one, other = (configured(SearchSolver(Walk(), seed=2)) for _ in range(2))
    first, second = one.solve(infos())["actions"], one.solve(infos())["actions"]
    assert torch.equal(first, other.solve(infos())["actions"])
    assert not torch.equal(first, second)


def test_it_begins_where_an_earlier_plan_ends_or_a_policy_says():
    still = CemConfig(candidates=2, iterations=1)
    given = torch.tensor([[[0.5, 0.5]], [[-1.0, -1.0]]])
    found = configured(SearchSolver(Walk(), still, spread=1e-6)).solve(infos(), given)["actions"]
    torch.testing.assert_close(found, torch.cat([given, torch.zeros(2, 2, 2)], 1), atol=1e-4, rtol=0)
    guided = Guided()
    found = configured(SearchSolver(guided, still, spread=1e-6)).solve(infos(), given)["actions"]
    assert guided.asked == 2
    torch.testing.assert_close(found[:, 1:], torch.full((2, 2, 2), 0.25), atol=1e-4, rtol=0)


def test_a_spread_of_nothing_is_refused():
    with pytest.raises(ValueError, match="spread must be above 0"):
        SearchSolver(Walk(), spread=0.0)


def test_it_is_one_of_their_solvers():
    theirs = pytest.importorskip("stable_worldmodel.solver.solver")
    solver = configured(SearchSolver(Walk()))
    assert isinstance(solver, theirs.Solver)
