"""Push-T's demonstrations and hook: on the package where it is installed, on its geometry alone where not."""

import numpy as np
import pytest

from envs.gym.push_t import FAR, NEAR, Demonstrator, corners, is_there, place, set_state

STATE = np.array([100.0, 120.0, 300.0, 200.0, 1.0])


@pytest.fixture
def env():
    gymnasium = pytest.importorskip("gymnasium")
    pytest.importorskip("gym_pusht")
    env = gymnasium.make("gym_pusht/PushT-v0")
    env.reset(seed=1)
    yield env
    env.close()


def test_corners_turn_about_the_place_of_the_block():
    upright = corners(np.zeros(3))
    assert upright.min(0).tolist() == [-60, 0] and upright.max(0).tolist() == [60, 120]
    turned = corners(np.array([10.0, 20.0, np.pi / 2]))
    np.testing.assert_allclose(turned, np.stack([10 - upright[:, 1], 20 + upright[:, 0]], -1), atol=1e-9)


@pytest.mark.parametrize(
    ("offset", "there"),
    [
        ([0, 0, 0, 0, 0], True),
        ([0.6 * NEAR, 0, 0.6 * NEAR, 0, 0], True),
        ([0.9 * NEAR, 0, 0.9 * NEAR, 0, 0], False),
        ([0, 0, 0, 0, 0.3], True),
        ([0, 0, 0, 0, 0.4], False),
        ([0, 0, 0, 0, 2 * np.pi + 0.1], True),
    ],
)
def test_a_goal_is_reached_by_agent_and_block_together(offset, there):
    assert is_there(STATE + np.array(offset, float), STATE) is there


def test_states_are_set_as_they_are_observed(env):
    bare = env.unwrapped
    for state in (STATE, np.array([400.0, 50.0, 150.0, 380.0, 4.0])):
        set_state(bare, state)
        np.testing.assert_allclose(bare.get_obs(), state, atol=1e-6)
        seen = bare.get_keypoints(bare._block_shapes)
        distances = np.linalg.norm(seen[:, None] - corners(state[2:]), axis=-1)
        np.testing.assert_allclose(distances.min(-1), 0, atol=1e-6)


def test_the_hook_says_when_the_goal_is_reached(env):
    place(env, STATE, STATE + np.array([0, 0, 0, 0, 0.1]))
    *_, terminated, _, info = env.step(STATE[:2])
    assert terminated and info["is_success"]
    place(env, STATE, STATE + np.array([0, 0, 2 * NEAR, 0, 0]))
    *_, terminated, _, info = env.step(STATE[:2])
    assert not terminated and not info["is_success"]


def test_demonstrations_push_the_block_and_repeat_with_the_seed(env):
    moved = []
    for _ in range(2):
        observation, info = env.reset(seed=4)
        demonstrator = Demonstrator(candidates=12, iterations=1, horizon=3)
        demonstrator.set_env(env)
        for _ in range(10):
            action = demonstrator(observation, info)
            assert env.action_space.contains(action)
            observation, _, terminated, _, info = env.step(action)
            assert not terminated, "the zone is no goal while data is collected"
        moved.append(observation)
    np.testing.assert_allclose(moved[0], moved[1])
    wanted = demonstrator._wanted.mean(0) - corners(observation[2:]).mean(0)
    assert np.abs(wanted).max() < 3 * FAR
