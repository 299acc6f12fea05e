"""Episodes of a gymnasium environment under random actions, or under a policy of somebody's own."""

import sys

import numpy as np
import pytest

from envs import collect
from envs.owned.intake import importer
from envs.owned.sources.data_sets import Gym
from world_models.data import DataError, SequenceDataset, read_attributes


def play(out, **changes):
    settings = {"env": "toy_gym:Slide-v0", "episodes": 3, "frames": 5, "test": 0.0, **changes}
    collect.collect(Gym(out=out, **settings))
    return SequenceDataset(out)


def test_actions_rewards_states_and_pictures_belong_together(tmp_path):
    data = play(tmp_path, episodes=1, policy="toy_gym:forward", frames=11)[0]
    assert data.actions[0, :, 0].tolist() == [1.0] * 10  # 4 is the most of -2 to 4
    places = data.states[0, :, 0]
    assert np.diff(places).tolist() == [4.0] * 10 and set(data.states[0, :, 1]) == {7.0}
    assert data.rewards[0, 1:].tolist() == places[1:].tolist() and data.rewards[0, 0] == 0
    assert data.frames[0, :, 32, 32, 1].tolist() == [100 + place for place in places]


def test_random_actions_lie_within_their_limits_and_differ(tmp_path):
    data = play(tmp_path)[:]
    assert np.abs(data.actions).max() <= 1 and len(np.unique(data.actions)) > 20
    for k in range(len(data)):
        steps = np.diff(data.states[k, :, 0])
        np.testing.assert_allclose(data.actions[k, :, 0], (steps - 1) / 3, atol=1e-5)


def test_choices_are_one_hot(tmp_path):
    data = play(tmp_path, env="toy_gym:SlideChoice-v0", policy="toy_gym:first")[:]
    assert data.actions.shape[-1] == 3 and (data.actions == [0, 1, 0]).all()


def test_skipped_steps_are_averaged_summed_and_not_drawn(tmp_path):
    every = play(tmp_path / "one", episodes=1, frames=13)[0]
    third = play(tmp_path / "three", episodes=1, frames=5, skip=3)[0]
    assert np.array_equal(third.frames[0], every.frames[0, ::3])
    np.testing.assert_allclose(third.actions[0], every.actions[0].reshape(4, 3, 1).mean(1), atol=1e-6)
    np.testing.assert_allclose(third.rewards[0, 1:], every.rewards[0, 1:].reshape(4, 3).sum(1), rtol=1e-6)


def test_the_same_seed_gives_the_same_bytes_in_whatever_order(tmp_path, monkeypatch):
    monkeypatch.setattr(importer, "EPISODES", 1)
    first, second = play(tmp_path / "a"), play(tmp_path / "b")
    contents = [path.read_bytes() for path in first.paths]
    assert contents == [path.read_bytes() for path in second.paths] and len(set(contents)) == 3
    first.paths[1].unlink()
    play(tmp_path / "a")
    assert [path.read_bytes() for path in first.paths] == contents
    assert [path.read_bytes() for path in play(tmp_path / "c", seed=1).paths] != contents


def test_more_steps_than_asked_for_are_not_taken(tmp_path):
    data = play(tmp_path, env="toy_gym:SlideForever-v0", max_steps=6, frames=7)
    assert len(data) == 3


def test_episodes_of_a_policy_that_was_changed_are_not_taken_over(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    policy = tmp_path / "policy_of_a_test.py"
    policy.write_text("def act(observation, info):\n    return 1\n")
    settings = {"env": "toy_gym:SlideChoice-v0", "policy": "policy_of_a_test:act"}
    play(tmp_path / "out", **settings)
    policy.write_text("def act(observation, info):\n    return 0 + 2\n")
    with pytest.raises(DataError, match=r"files_sha256 .*choose another --out"):
        play(tmp_path / "out", **settings)


def test_a_fault_of_a_policy_costs_its_episode(tmp_path, capsys):
    data = play(tmp_path, policy="toy_gym:late_fault", episodes=12)
    said = capsys.readouterr().out
    left_out = said.count("RuntimeError: out of ideas")
    kept = read_attributes(data.paths[0])["sequences_of_episodes"].split(",")
    assert 0 < left_out < 12 and len(kept) == 12 - left_out


def test_pictures_that_cannot_be_drawn_cost_their_episode(tmp_path, capsys):
    """Episodes begin at 0 to 4 and end beyond 40: at 44, 41, 42, 43 and 44."""
    data = play(tmp_path, env="toy_gym:SlideVeiled-v0", policy="toy_gym:forward", episodes=20)
    said = capsys.readouterr().out
    assert "RuntimeError: too far to see" in said and "render() must answer a picture, got NoneType" in said
    assert 0 < len(read_attributes(data.paths[0])["sequences_of_episodes"].split(",")) < 20


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--env", "NoSuch-v0"], "--env NoSuch-v0 cannot be made"),
        (["--env", "no_such_module:X-v0"], "--env no_such_module:X-v0 cannot be made"),
        (["--env", "toy_gym:SlideDark-v0"], "render modes are ansi, rgb_array is needed"),
        (["--env", "toy_gym:SlideForever-v0"], "has no limit on the steps of an episode; give --max-steps"),
        (["--policy", "clever"], "--policy must be random or MODULE:CALLABLE, got clever"),
        (["--policy", "no_such_module:act"], "--policy no_such_module:act: No module named"),
        (["--policy", "toy_gym:NOTHING"], "toy_gym has no callable NOTHING"),
        (["--policy", "toy_gym:wrong"], "none of 2 episodes can be used: .* is no action of Box"),
        (["--episodes", "0"], "--episodes must be at least 1"),
        (["--max-steps", "0"], "--max-steps must be at least 1"),
        (["--seed", "-1"], "--seed at least 0"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(tmp_path, monkeypatch, flags, message):
    command = ["collect", "gym", "--out", str(tmp_path), "--env", "toy_gym:Slide-v0", "--episodes", "2"]
    monkeypatch.setattr(sys, "argv", [*command, "--frames", "3", *flags])
    with pytest.raises(SystemExit, match=message):
        collect.main()
