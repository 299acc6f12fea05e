import hashlib
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import envs
from envs.push import arm
from envs.push.env import PUCK_PIXELS, PushEnv
from envs.push.ids import PUSH_ID
from envs.push.scene import Scene, Wall
from envs.push.variation.factors import Variation
from envs.rendering import Projection

OPEN_TABLE = Scene((Wall((-0.8, 0.6), 1.5),), puck=(0.0, -0.4), goal=(0.0, 0.6), finger=(0.0, -0.65))
FACING_WALL = Scene((Wall((0.0, 0.2), 0.0),), puck=(0.0, -0.1), goal=(0.0, 0.6), finger=(0.0, -0.4))
UP = np.array([0.0, 1.0])


def drive(env: PushEnv, actions: np.ndarray) -> np.ndarray:
    """Puck positions after every action."""
    track = []
    for action in actions:
        env.advance(action)
        track.append(env.positions()["puck"])
    return np.array(track)


def test_gymnasium_accepts_the_environment():
    env = gymnasium.make(PUSH_ID)
    with warnings.catch_warnings():
        # The checker asks for a symmetric action range, which this is, but warns about float64.
        warnings.simplefilter("ignore", UserWarning)
        check_env(env.unwrapped)
    env.close()


def test_episode_is_truncated_after_sixty_steps():
    env = gymnasium.make(PUSH_ID)
    env.reset(seed=1)
    flags = [env.step(np.zeros(2))[2:4] for _ in range(envs.PUSH_STEPS)]
    env.close()
    assert flags[-1] == (False, True)
    assert not any(truncated for _, truncated in flags[:-1])


def test_same_seed_same_pictures(push):
    first, info = push.reset(seed=11)
    again, info_again = push.reset(seed=11)
    other, _ = push.reset(seed=12)
    assert np.array_equal(first, again)
    assert np.array_equal(info["goal"], info_again["goal"])
    assert not np.array_equal(first, other)


def test_pixels_have_not_changed(push):
    push.start(FACING_WALL)
    digest = hashlib.sha256(push.render().tobytes()).hexdigest()
    assert digest == "92cedb79235fa9636582c76e938070fdc07e476921a5c136d539fc124c26e423"


def test_goal_picture_is_the_start_with_the_puck_moved(push):
    start, info = push.reset(options={"scene": OPEN_TABLE})
    changed = np.abs(start.astype(int) - info["goal"]).max(axis=-1) > 40
    rows = np.flatnonzero(changed.any(axis=1))
    project = Projection(push.model, "table", 64)
    for position in (OPEN_TABLE.puck, OPEN_TABLE.goal):
        x, y = project(np.array(position), 0.0).round().astype(int)
        assert changed[y, x]
    # A puck is seven pixels high: nothing but two pucks' rows may differ.
    assert len(rows) <= 16


def test_puck_looks_as_documented(push):
    push.start(OPEN_TABLE)
    x, y = Projection(push.model, "table", 64)(np.array(OPEN_TABLE.puck), 0.0).round().astype(int)
    assert push.render()[y, x] / 255 == pytest.approx(PUCK_PIXELS, abs=0.02)


def test_finger_moves_one_step_per_full_action(push):
    push.start(OPEN_TABLE)
    drive(push, np.tile([1.0, 0.0], (5, 1)))
    before = push.positions()["finger"]
    drive(push, np.tile([1.0, 0.0], (4, 1)))
    assert push.positions()["finger"] - before == pytest.approx([4 * arm.STEP, 0.0], abs=0.03)


def test_straight_push_moves_the_puck_ahead_of_the_finger(push):
    push.start(OPEN_TABLE)
    drive(push, np.tile(UP, (8, 1)))
    now = push.positions()
    assert now["puck"][1] > OPEN_TABLE.puck[1] + 0.4
    assert abs(now["puck"][0]) < 0.01
    # No tunnelling: the finger is still behind, no deeper in the puck than a fifth of their contact distance.
    assert now["puck"][1] - now["finger"][1] > 0.8 * (0.12 + 0.05)


def test_puck_comes_to_rest_soon_after_the_finger(push):
    push.start(OPEN_TABLE)
    drive(push, np.tile(UP, (6, 1)))
    at_stop = push.positions()["puck"]
    drive(push, np.zeros((5, 2)))
    coasted = push.positions()["puck"] - at_stop
    assert np.linalg.norm(coasted) < 0.08
    drive(push, np.zeros((3, 2)))
    assert push.positions()["puck"] - at_stop == pytest.approx(coasted, abs=1e-3)


def test_wall_stops_the_puck_and_never_shoots_it_back(push):
    rng = np.random.default_rng(0)
    longest = 0.0
    for episode in range(30):
        push.start(FACING_WALL)
        aim = np.array([rng.uniform(-0.4, 0.4), 1.0])
        track = drive(push, np.clip(aim + rng.normal(0, 0.4, size=(40, 2)), -1, 1))
        in_front = np.abs(track[:, 0]) < 0.35
        assert (track[in_front, 1] < 0.2).all(), f"episode {episode}: through the wall"
        steps = np.linalg.norm(np.diff(track, axis=0), axis=1)
        longest = max(longest, steps.max())
    assert longest < 2.5 * arm.STEP


def test_state_restores_exactly_in_the_middle_of_contact(push):
    rng = np.random.default_rng(3)
    push.start(FACING_WALL)
    drive(push, np.tile(UP, (4, 1)))
    assert push.data.ncon > 0
    saved = push.get_state()
    actions = rng.uniform(-1, 1, size=(20, 2)) + UP * 0.3
    first = drive(push, actions)
    push.set_state(saved)
    assert np.array_equal(drive(push, actions), first)


def test_several_environments_draw_independently():
    one, two = PushEnv(), PushEnv(Variation(puck_color=(0.1, 0.8, 0.1)))
    one.start(OPEN_TABLE)
    before = one.render()
    two.start(OPEN_TABLE)
    assert not np.array_equal(two.render(), before)
    two.close()
    assert np.array_equal(one.render(), before)
    one.close()


@pytest.mark.parametrize("action", [np.zeros(3), np.array([np.nan, 0.0])])
def test_bad_actions_are_refused(push, action):
    push.start(OPEN_TABLE)
    with pytest.raises(ValueError, match="two finite numbers"):
        push.step(action)


def test_bad_reset_options_are_refused(push):
    with pytest.raises(ValueError, match="only option is 'scene'"):
        push.reset(options={"sceen": OPEN_TABLE})
    with pytest.raises(TypeError, match="Scene"):
        push.reset(options={"scene": "hard"})
