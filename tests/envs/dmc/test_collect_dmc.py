import numpy as np
import pytest
from dm_control.rl.control import PhysicsError

from envs import collect, data_set
from envs.dmc import recordings
from envs.dmc.data_set import DMC, VERSION, Dmc
from envs.dmc.env import DmcEnv
from envs.dmc.recordings import EPISODE_FRAMES, FRAMES, LONGEST_LEAD, draw_recording
from envs.dmc.tasks import TASKS
from world_models.data import SequenceDataset, read_attributes


class CountingEnv(DmcEnv):
    """Pays the action as reward and shows how many steps were taken; some episodes go wrong."""

    observation_size = 1
    image_size = 64
    action_size = 1

    def __init__(self, task="walker-walk", lost=0, diverged=0):
        self.task = TASKS[task]
        self.lost, self.diverged = lost, diverged
        self.starts = self.steps = 0

    def start(self, seed):
        self.starts += 1
        self.steps = 0

    def advance(self, action):
        self.steps += 1
        if self.starts <= self.diverged:
            raise PhysicsError
        return float(action[0]), False

    def render(self):
        return np.full((64, 64, 3), self.steps, np.uint8)

    def state(self):
        return np.array([self.steps, 10.0, 64.0 if self.starts <= self.lost else 63.0])


def same(one, other):
    return all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for name in ("frames", "actions", "states", "rewards")
    )


def test_rewards_belong_to_the_action_that_led_to_the_frame():
    leads = set()
    for index in range(200):
        recording = draw_recording(CountingEnv(), seed=0, index=index)
        assert np.array_equal(recording.rewards[1:], recording.actions[:, 0])
        lead = int(recording.states[0, 0])
        assert np.array_equal(recording.states[:, 0], np.arange(lead, lead + FRAMES))
        assert np.array_equal(recording.frames[:, 0, 0, 0], recording.states[:, 0])
        leads.add(lead)
    assert (min(leads), max(leads)) == (1, LONGEST_LEAD)
    assert max(leads) + FRAMES == EPISODE_FRAMES


def test_actions_are_held_four_steps_on_average():
    actions = recordings.random_actions(np.random.default_rng(0), 8000, 2)
    changed = (np.diff(actions, axis=0) != 0).all(axis=1)
    assert changed.mean() == pytest.approx(0.25, abs=0.02)
    assert np.abs(actions).max() <= 1.0 and actions.std() == pytest.approx(1 / np.sqrt(3), abs=0.02)


def test_sequences_that_leave_the_picture_or_diverge_are_drawn_again():
    for env in (CountingEnv(lost=2), CountingEnv(diverged=2)):
        recording = draw_recording(env, seed=0, index=0)
        assert env.starts == 3
        assert recording.states[:, 2].max() == 63.0
    with pytest.raises(RuntimeError, match="walker-walk: sequence 7 of seed 3"):
        draw_recording(CountingEnv(diverged=10**6), seed=3, index=7)


def test_every_task_seed_and_sequence_has_its_own_stream():
    drawn = [
        draw_recording(CountingEnv(task), seed, index)
        for task in ("walker-walk", "walker-stand")
        for seed in (0, 1)
        for index in (0, 1)
    ]
    assert len({recording.actions.tobytes() for recording in drawn}) == 8


def test_shards_hold_the_same_sequences_however_they_are_cut_and_a_rerun_fills_gaps(tmp_path, monkeypatch):
    monkeypatch.setattr(data_set, "SIZE", 4)
    DMC.collect(Dmc(out=tmp_path / "whole", task="reacher-easy"))[0].write(4, 0)
    monkeypatch.setattr(data_set, "SIZE", 2)
    folder = tmp_path / "reacher-easy"
    for index in (1, 0):
        DMC.collect(Dmc(out=tmp_path, task="reacher-easy"))[0].write(4, index)
    data = SequenceDataset(folder)
    whole = SequenceDataset(tmp_path / "whole" / "reacher-easy")[:]
    assert same(data[:], whole)
    assert not np.array_equal(whole.frames[0], whole.frames[2])
    check_content(whole)
    check_attributes(read_attributes(data.paths[1]))
    times = [path.stat().st_mtime_ns for path in data.paths]
    collect.collect(Dmc(out=tmp_path, task="reacher-easy", sequences=4, seed=4, workers=1))
    assert [path.stat().st_mtime_ns for path in data.paths] == times
    with pytest.raises(ValueError, match="seed 4"):
        collect.collect(Dmc(out=tmp_path, task="reacher-easy", sequences=4, seed=5, workers=1))


def check_attributes(attributes):
    assert attributes == {
        "environment": "waymark/ReacherEasy-v0",
        "seed": 4,
        "version": VERSION,
        "first_index": 2,
        "camera": "fixed",
        "action_repeat": 4,
        "episode_length": EPISODE_FRAMES,
        "observation": 6,
        "bodies": "wrist,finger,target",
    }


def check_content(sequences):
    assert sequences.frames.shape == (4, FRAMES, 64, 64, 3)
    assert sequences.actions.shape == (4, FRAMES - 1, 2)
    assert sequences.states.shape == (4, FRAMES, 6 + 2 * 3)
    assert sequences.rewards.shape == (4, FRAMES)
    assert not sequences.keyframes.any()
    finger, target = sequences.states[..., 8:10], sequences.states[..., 10:12]
    to_target = sequences.states[..., 2:4] * [1, -1]  # y points up in the simulation
    pixels_per_metre = ((target - finger) * to_target).sum() / (to_target**2).sum()
    assert np.allclose(target - finger, pixels_per_metre * to_target, atol=0.05)


def test_unknown_task_is_refused():
    with pytest.raises(ValueError, match=r"cartpole-balance.*or all"):
        collect.collect(Dmc(task="cartpole"))
