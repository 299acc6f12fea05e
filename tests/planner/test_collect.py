import dataclasses
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from dm_control.rl.control import PhysicsError

from envs.dmc.env import DmcEnv
from envs.dmc.tasks import TASKS, DmcTask
from planner import collect
from planner.collect import Dmc
from planner.learned import LearnedController
from planner.search.servo import ServoStep
from planner.suite_recording import cut, explore, random_policy, record_episode
from world_models.data import DataError, read_attributes
from world_models.struct_vrnn.presets import DEBUG
from world_models.struct_vrnn.sequences import open_tasks

STEPS = 10


class CountingEnv(DmcEnv):
    """Shows how many steps were taken and pays the action; the first starts may diverge."""

    observation_size, action_size, image_size, bodies = 1, 1, 16, ("dot",)

    def __init__(self, task="walker-walk", diverging=0):
        self.task: DmcTask = dataclasses.replace(TASKS[task], action_repeat=1000 // STEPS)
        self.diverging = diverging
        self.steps = self.starts = 0

    def start(self, seed):
        self.starts += 1
        self.steps = 0

    def advance(self, action):
        self.steps += 1
        if self.starts <= self.diverging and self.steps == 3:
            raise PhysicsError
        return float(action[0]), self.steps == STEPS

    def render(self):
        return np.full((16, 16, 3), self.steps, np.uint8)

    def state(self):
        return np.array([self.steps, 1.0, 2.0])

    def close(self):
        pass


class Echo(LearnedController):
    """Answers the mean of the newest picture, in steps, and tells what it was shown."""

    def __init__(self):
        vars(self).update(memory=3, seen=[], warm_starts=[])

    def act(self, seen, subgoal, warm_start, generator):
        self.seen.append(seen)
        self.warm_starts.append(warm_start)
        action = (255 / 100 * seen.frames[:, -1].mean())[None, None]
        return ServoStep(action, action[None] + 1, action[0], action[None])


@pytest.fixture
def in_process(monkeypatch):
    monkeypatch.setattr(collect, "DmcEnv", CountingEnv)
    monkeypatch.setattr(
        collect, "ProcessPoolExecutor", lambda workers, mp_context: ThreadPoolExecutor(workers)
    )


def run(folder, **settings):
    chosen = {"model": "random", "frames": 4, "episodes": 10, "workers": 1} | settings
    return Dmc(folder / "walker-walk", "walker-walk", **chosen)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*/*.h5")}


def test_rewards_belong_to_the_action_that_led_to_the_frame():
    episode = record_episode(CountingEnv(), random_policy, seed=0, index=0)
    assert episode.states[:, 0].tolist() == [*range(1, STEPS + 1)]
    assert np.array_equal(episode.frames[:, 0, 0, 0], episode.states[:, 0])
    assert np.array_equal(episode.rewards[1:], episode.actions[:, 0])
    assert len(record_episode(CountingEnv(), random_policy, 0, 0, steps=4).frames) == 4


def test_an_episode_depends_on_seed_and_index_and_is_drawn_again_if_it_diverges():
    first, other, again = (record_episode(CountingEnv(), random_policy, 0, k) for k in (0, 1, 0))
    assert np.array_equal(first.actions, again.actions) and (first.actions != other.actions).any()
    late = record_episode(CountingEnv(diverging=2), random_policy, 0, 0)
    assert len(late.frames) == STEPS and (late.actions != first.actions).any()
    with pytest.raises(ValueError, match="episode 7 of seed 0 diverged 10 times; choose another --seed"):
        record_episode(CountingEnv(diverging=99), random_policy, 0, 7)


@pytest.mark.parametrize(("frames", "starts"), [(5, [1, 6]), (4, [1, 5, 7]), (10, [1])])
def test_no_frame_of_an_episode_is_lost(frames, starts):
    parts = cut(record_episode(CountingEnv(), random_policy, 0, 0), frames)
    assert [part.states[0, 0] for part in parts] == starts
    for part in parts:
        assert np.array_equal(np.diff(part.states[:, 0]), np.ones(frames - 1))
        assert np.array_equal(part.rewards[1:], part.actions[:, 0])


def test_the_controller_sees_the_last_pictures_and_what_was_really_done():
    controller = Echo()
    noise = np.array([[0.0], [0.25], [9.0], [-9.0], [0.0]], np.float32)
    act = explore(controller, noise, torch.Generator())
    done = [float(act(np.full((8, 8, 3), step, np.uint8))[0]) for step in range(5)]
    assert done == pytest.approx([0.0, 0.26, 1.0, -1.0, 0.04], abs=1e-6)
    last = controller.seen[-1]
    assert (255 * last.frames[0, :, 0, 0, 0]).round().tolist() == [2, 3, 4]
    assert last.actions.flatten().tolist() == done[2:4]
    assert controller.seen[0].actions.shape == (1, 0, 1)
    assert controller.warm_starts[0] is None and float(controller.warm_starts[4]) == pytest.approx(1.03)


def test_interrupted_runs_and_any_number_of_workers_give_the_same_bytes(in_process, tmp_path):
    collect.collect(run(tmp_path / "one"))
    mean = collect.collect(run(tmp_path / "two", episodes=5))
    (tmp_path / "two/walker-walk/shard-00000.h5").rename(tmp_path / "kept")
    collect.collect(run(tmp_path / "two", workers=2))
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert mean == pytest.approx(read_attributes(tmp_path / "kept")["mean_return"])


def test_rounds_lie_behind_each_other_and_training_reads_them(in_process, tmp_path):
    collect.collect(run(tmp_path))
    before = contents(tmp_path)
    collect.collect(run(tmp_path, seed=1))
    collect.collect(run(tmp_path))
    after = contents(tmp_path)
    assert sorted(after) == [f"shard-0000{k}.h5" for k in range(4)] and before.items() <= after.items()
    config = DEBUG.model.model_copy(update={"tasks": ("walker-walk",), "image_size": 16})
    (task,) = open_tasks(tmp_path, config, held_out=2)
    assert (len(task.sequences), task.bodies, task.observation) == (60, ("dot",), 1)
    attributes = read_attributes(task.sequences.paths[2])
    assert attributes["environment_steps"] == 5000 and attributes["seed"] == 1


def test_what_does_not_belong_together_is_refused(in_process, tmp_path):
    collect.collect(run(tmp_path, episodes=5))
    with pytest.raises(DataError, match="has sequences of 4 frames, not 5"):
        collect.collect(run(tmp_path, frames=5))
    with pytest.raises(DataError, match="shows waymark/WalkerWalk-v0, not waymark/WalkerStand-v0"):
        collect.collect(dataclasses.replace(run(tmp_path), task="walker-stand"))
    collect.collect(run(tmp_path, seed=1, episodes=5))
    with pytest.raises(DataError, match=r"shard-00001.h5 is of another run; choose another --seed"):
        collect.collect(run(tmp_path, episodes=10))
    late = run(tmp_path, seed=2, episodes=5)
    with pytest.raises(DataError, match=r"another run wrote .*shard-00001.h5 meanwhile"):
        collect.write(late, late.origin(), 1, 0)
    with pytest.raises(ValueError, match="--frames must be 2 to 500"):
        collect.collect(run(tmp_path, frames=501))


def test_a_shard_tells_what_acted(tmp_path):
    origin = Dmc(tmp_path, "reacher-easy").origin()
    assert len(str(origin["weights"])) == len(str(origin["head"])) == 64
    assert origin["noise"] == 0.3 and '"horizon":12' in str(origin["search"])
    with pytest.raises(ValueError, match="no model 'nobody'"):
        Dmc(tmp_path, "reacher-easy", model="nobody").origin()
