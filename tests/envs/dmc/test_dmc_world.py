from dataclasses import replace

import numpy as np
import pytest
from dm_control.rl.control import PhysicsError

from envs.dmc.world import DmcWorld
from envs.world import Diverged


@pytest.fixture(scope="module")
def world():
    made = DmcWorld("reacher-easy")
    yield made
    made.close()


def test_measures_are_the_last_reward_and_the_true_state(world):
    start = world.episodes(1).starts[0]
    world.begin(start)
    assert world.measure()["reward"] == 0
    action = np.array([0.5, -0.5], np.float32)
    world.step(action)
    first = world.measure()
    assert np.array_equal(first["state"], world.env.state())
    start.begin(world.env)
    assert first["reward"] == world.env.advance(action.astype(np.float64))[0]
    world.begin(start)
    assert world.measure()["reward"] == 0, "an episode does not begin with the reward of another"


def test_an_unstable_simulation_is_said(world, monkeypatch):
    def diverge(action):
        raise PhysicsError("badly")

    world.begin(world.episodes(1).starts[0])
    monkeypatch.setattr(world.env, "advance", diverge)
    with pytest.raises(Diverged, match="badly"):
        world.step(np.zeros(2, np.float32))


def test_a_start_that_is_not_where_it_was_frozen_is_refused(world):
    with pytest.raises(ValueError, match="does not start where"):
        world.begin(replace(world.episodes(1).starts[0], seed=1))
