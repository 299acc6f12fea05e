"""Pairs of looks of DM Control: the same moment twice, and the same data for the same seed."""

import numpy as np
import pytest

from envs.dmc.env import DmcEnv
from envs.dmc.looks import draw_looks, draw_variation
from envs.looks import PAIRS


@pytest.mark.parametrize("task", ["cartpole-balance", "walker-walk"])
def test_both_halves_show_the_same_moments(task):
    looks = draw_looks(task, seed=5, first=0, count=2)
    usual, other = looks.frames[:, :PAIRS], looks.frames[:, PAIRS:]
    assert np.array_equal(looks.states[:, :PAIRS], looks.states[:, PAIRS:])
    assert (usual != other).any(axis=(1, 2, 3, 4)).all()
    again = draw_looks(task, seed=5, first=1, count=1)
    assert np.array_equal(again.frames[0], looks.frames[1])
    assert not np.array_equal(again.frames, draw_looks(task, seed=6, first=1, count=1).frames)


def test_moments_are_apart_and_move():
    looks = draw_looks("cartpole-balance", seed=5, first=0, count=1)
    assert all(
        (one != two).any() for one, two in zip(looks.frames[0], looks.frames[0, 1:PAIRS], strict=False)
    )


def test_a_state_looks_as_it_did_when_it_was_left():
    env, other = DmcEnv("cartpole-balance"), DmcEnv("cartpole-balance")
    env.reset(seed=3)
    picture = env.step(np.array([0.7]))[0]
    state = env.physics_state()
    assert np.array_equal(other.render_state(state), picture)
    assert np.array_equal(other.physics_state(), state)
    env.close()
    other.close()


def test_every_factor_is_usual_now_and_then_and_changed_at_other_times():
    drawn = [
        set(draw_variation(np.random.default_rng(seed)).model_dump(exclude_defaults=True))
        for seed in range(40)
    ]
    factors = set().union(*drawn)
    assert factors == {"light", "body_color", "camera_shift"}
    assert all(any(name not in changed for changed in drawn) for name in factors)
