"""Any gymnasium environment as a world: placed, seen and acted in as its data were recorded."""

import dot_room
import numpy as np
import pytest
from gymnasium import spaces

from envs.collect import collect
from envs.gym.making import make_env
from envs.gym.recording import Recording, find_recording
from envs.gym.starts import fresh_pairs, own_goals, recorded_pairs
from envs.owned.sources.data_sets import Gym
from envs.owned.sources.pictures import fit_picture
from envs.owned.sources.spaces import action_size, decode_action, encode_action
from envs.world import Diverged
from envs.worlds import make_world
from world_models.data import DataError

ENV = "dot_room:DotRoomPlaceable-v0"
VIEW = {"size": 64, "fit": "crop", "skip": 2}
RECORDING = Recording(size=64, fit="crop", skip=2, policy="dot_room:ROAM", max_steps=36, seed=0)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    out = tmp_path_factory.mktemp("dots")
    collect(
        Gym(env=ENV, policy="dot_room:ROAM", episodes=5, max_steps=36, skip=2, frames=13, test=0.4, out=out)
    )
    return out


def world(name=ENV, **settings):
    return make_world(f"gym:{name}", **VIEW, **settings)


@pytest.mark.parametrize(("name", "hook"), [(ENV, None), ("dot_room:DotRoom-v0", "dot_room:put")])
def test_episodes_start_and_end_where_they_were_recorded(name, hook):
    pairs = fresh_pairs(name, RECORDING, 7, 3, 5)
    made = world(name, most_steps=14, hook=hook)
    for start in pairs.starts:
        picture, goal = made.begin(start)
        assert made.env.bare.unwrapped.place.tolist() == pytest.approx(start.state)
        assert np.array_equal(picture, made.env.see()) and not np.array_equal(picture, goal)
        hidden = made.env.bare.unwrapped
        hidden.place = np.array(start.goal)
        assert np.array_equal(goal, fit_picture(hidden.render(), 64, "crop"))
    assert (made.steps, made.action_size, made.image_size) == (7, 2, 64)
    made.close()


def test_what_was_recorded_leads_to_the_goal():
    made = world(most_steps=16)
    for start in fresh_pairs(ENV, RECORDING, 8, 4, 3).starts:
        made.begin(start)
        for step in range(4):
            made.step(made.recorded_action(step))
            if made.over:
                break
        away = np.linalg.norm(made.env.bare.unwrapped.place - start.goal)
        assert made.measure()["success"] == (away < 4)
        assert away < 8, "actions were averaged over two steps"
    assert made.recorded_action(99).tolist() == [0.0, 0.0]
    made.close()


def test_an_action_is_held_and_scaled_to_the_limits_of_the_environment():
    made, start = world(), own_goals(1, 0).starts[0]
    made.env.begun(start.seed)
    bare = made.env.bare.unwrapped
    bare.place, bare.goal = np.array([5.0, 5.0]), np.array([40.0, 40.0])
    made.step(np.array([1.0, 0.5], np.float32))
    assert bare.place.tolist() == pytest.approx([5 + 2 * 4, 5 + 2 * 2]), "two steps of (2, 1), doubled"
    assert made.measure()["environment_steps"] == 2
    made.close()


def test_the_environment_ends_the_episode():
    made = world(most_steps=3)
    start = fresh_pairs(ENV, RECORDING, 8, 1, 3).starts[0]
    made.begin(start)
    made.step(np.zeros(2, np.float32))
    assert not made.over
    made.step(np.zeros(2, np.float32))
    assert made.over and made.measure() == {"success": False, "environment_steps": 3, "reward": 0.0}
    made.begin(start)
    made.env.bare.unwrapped.goal = made.env.bare.unwrapped.place
    made.step(np.zeros(2, np.float32))
    assert made.over and made.measure()["success"] and made.measure()["environment_steps"] == 1
    record = made.record(start, [made.measure()], [])
    assert record == {"success": True, "environment_steps": 1, "return": 0}
    made.close()


def test_an_environment_can_show_its_own_goals():
    made = world("dot_room:DotRoomGoals-v0")
    assert not made.can_be_placed and made.shows_goals() and made.steps == 20
    picture, goal = made.begin(made.episodes(2, 9).starts[1])
    assert picture.shape == goal.shape == (64, 64, 3) and not np.array_equal(picture, goal)
    bare = made.env.bare.unwrapped
    bare.place = bare.goal
    assert np.array_equal(made.env.see(), goal)
    made.step(np.zeros(2, np.float32))
    assert made.over and made.measure()["success"], "its infos say so"
    made.close()


def test_failures_of_the_environment_end_the_episode_and_are_said(capsys):
    made = world("dot_room:DotRoomFailing-v0")
    made.env.begun(0)
    with pytest.raises(Diverged, match="RuntimeError: out of order"):
        made.step(np.zeros(2, np.float32))
    assert "DotRoomFailing-v0 failed: RuntimeError: out of order" in capsys.readouterr().err
    made.close()


def test_pairs_come_from_the_episodes_for_testing(data):
    recording = find_recording(data, data / "model")
    assert recording == RECORDING
    pairs = recorded_pairs(data, recording, 8, 6, 1)
    assert pairs == recorded_pairs(data, recording, 8, 6, 1)
    assert pairs.fingerprint != recorded_pairs(data, recording, 8, 6, 2).fingerprint
    made = world(most_steps=20)
    for start in pairs.starts:
        made.begin(start)
        shade = made.env.bare.unwrapped.shade
        for step in range(4):
            made.step(made.recorded_action(step))
        assert made.env.bare.unwrapped.shade == shade
        if not made.env.success:
            assert np.linalg.norm(made.env.bare.unwrapped.place - start.goal) < 8
    made.close()


@pytest.mark.parametrize(
    ("offset", "words"), [(7, "choose --offset 6 or 8"), (26, "24 steps long, none has states 26 apart")]
)
def test_pairs_that_the_data_lacks_are_refused(data, offset, words):
    with pytest.raises(ValueError, match=words):
        recorded_pairs(data, RECORDING, offset, 2, 0)


def test_new_episodes_that_cannot_give_pairs_are_refused():
    with pytest.raises(ValueError, match="gave 0 pairs that are 60 steps apart"):
        fresh_pairs(ENV, RECORDING, 60, 1, 0)
    with pytest.raises(ValueError, match="does not say its state"):
        fresh_pairs("dot_room:DotRoomBlind-v0", RECORDING, 4, 1, 0)


def test_an_environment_that_cannot_be_placed_says_what_to_give():
    start = fresh_pairs(ENV, RECORDING, 8, 1, 3).starts[0]
    made = world("dot_room:DotRoom-v0")
    with pytest.raises(ValueError, match="give a hook as --hook MODULE:CALLABLE"):
        made.begin(start)
    with pytest.raises(ValueError, match="shows no goal"):
        made.begin(own_goals(1, 0).starts[0])
    made.close()
    with pytest.raises(ValueError, match="dot_room has no callable nobody"):
        world(hook="dot_room:nobody")


def test_a_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setattr(
        "envs.gym.making.PACKAGES", {"swm": ("no_such_package", "pip install 'waymark[worlds]'")}
    )
    with pytest.raises(
        ValueError, match=r"--env swm/TwoRoom-v1 cannot be made: .*waymark\[worlds\]' brings it"
    ):
        make_env("swm/TwoRoom-v1")


def test_how_data_were_recorded_has_to_be_known(tmp_path):
    with pytest.raises(ValueError, match="give their folder as --data"):
        find_recording(None, tmp_path / "model")
    with pytest.raises(ValueError, match=r"is not of a data set that .* recorded"):
        Recording.from_attributes({"environment": "films"}, "it")


@pytest.mark.parametrize(
    "space",
    [
        spaces.Box(-2.0, 4.0, (3,), np.float32),
        spaces.Box(-1.0, 1.0, (2, 2), np.float32),
        spaces.Discrete(4, start=2),
        spaces.MultiDiscrete([3, 2]),
        spaces.MultiBinary(3),
        spaces.Tuple((spaces.Discrete(3), spaces.Box(0.0, 1.0, (2,), np.float32))),
        spaces.Dict({"b": spaces.Box(-3.0, 1.0, (1,), np.float64), "a": spaces.Discrete(2)}),
    ],
)
def test_actions_are_read_back(space):
    space.seed(0)
    for _ in range(5):
        action = space.sample()
        numbers = encode_action(space, action)
        assert len(numbers) == action_size(space)
        again = decode_action(space, numbers)
        assert space.contains(again)
        assert np.allclose(encode_action(space, again), numbers, atol=1e-6)


def test_what_lies_outside_the_limits_is_kept_within():
    found = decode_action(spaces.Box(-2.0, 4.0, (2,), np.float32), np.array([1.5, -3.0], np.float32))
    assert found.tolist() == [4.0, -2.0]
    with pytest.raises(DataError, match="2 numbers are no action"):
        decode_action(spaces.Discrete(3), np.zeros(2, np.float32))


def test_policies_that_ask_for_it_are_given_the_environment():
    assert dot_room.ROAM is not None
    starts = fresh_pairs(ENV, RECORDING, 8, 2, 11).starts
    assert starts == fresh_pairs.__wrapped__(ENV, RECORDING, 8, 2, 11).starts, (
        "the same seed, the same episodes"
    )
