"""Who chooses actions, in the worlds of DM Control."""

import pytest
import torch

from envs.dmc.episodes import load_starts
from envs.dmc.world import DmcWorld
from planner.episode import run_episode
from planner.low_levels.low_level import LowLevel, RandomActions, Request, clipped_normal, true_servo, uniform
from planner.pursuit import Actor, one_stream
from planner.search.cem import CemConfig
from planner.search.servo import ServoConfig
from world_models.interface import Context

SMALL = ServoConfig(
    horizon=6, cem=CemConfig(candidates=24, iterations=2, elite_fraction=0.15, bound=1.0, noise_exponent=2.0)
)


@pytest.fixture(scope="module")
def reacher():
    world = DmcWorld("reacher-easy")
    yield world
    world.close()


def rewards(world: DmcWorld, low_level: LowLevel) -> list[float]:
    start = load_starts().starts["reacher-easy"][2]
    outcome = run_episode(world, start, Actor(low_level), one_stream(0), steps=25)
    return [measures["reward"] for measures in outcome.measures[1:]]


def test_true_dynamics_reach_a_target_that_chance_does_not(reacher):
    searched, again = (rewards(reacher, true_servo(reacher, SMALL)) for _ in range(2))
    by_chance = rewards(reacher, RandomActions(2, uniform))
    assert searched == again
    assert sum(searched) > 30 > sum(by_chance)


def test_a_world_without_true_dynamics_is_refused(reacher, monkeypatch):
    monkeypatch.setattr(reacher, "simulator", lambda pool, threads: None)
    with pytest.raises(ValueError, match=r"dmc/reacher-easy has no true dynamics .* choose another"):
        true_servo(reacher)


def drawn(draw, size=6, count=500):
    low_level, generator = RandomActions(size, draw), torch.Generator().manual_seed(0)
    nothing = Context(torch.zeros(1, 1, 3, 8, 8), torch.zeros(1, 0, size))
    ask = Request(nothing, torch.zeros(1, 3, 8, 8), None, generator)
    return torch.cat([low_level.act(ask).action for _ in range(count)])


def test_uniform_actions_fill_the_box():
    actions = drawn(uniform)
    assert actions.std() == pytest.approx(3**-0.5, abs=0.02)
    assert -1 <= actions.min() < -0.99 and 0.99 < actions.max() <= 1


def test_random_actions_of_pushing_are_those_that_the_search_draws_first():
    actions = drawn(clipped_normal)
    assert actions.abs().max() == 1 and (actions.abs() == 1).float().mean() == pytest.approx(0.317, abs=0.03)


def test_low_levels_say_what_they_imagine(reacher):
    searching, by_chance = true_servo(reacher, SMALL), RandomActions(2, uniform)
    assert (searching.imagined_steps, searching.true_dynamics) == (24 * 2 * 6, True)
    assert (by_chance.imagined_steps, by_chance.true_dynamics) == (0, False)
    assert not searching.can_be_surprised and not by_chance.can_be_surprised
