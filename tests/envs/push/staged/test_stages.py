"""Demonstrations with stages, and the data sets of them."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from envs import collect, data_set
from envs.push.demonstrations import KEPT_DISTANCE
from envs.push.env import PushEnv
from envs.push.episodes import find_demonstration, load_manifest
from envs.push.ids import PUSH_IDS
from envs.push.rhythms import FRAMES
from envs.push.scene import PUCKS, blocked
from envs.push.staged.data_sets import PUSH_CORNER, PUSH_TWO_PUCKS, PushTwoPucks
from envs.push.staged.demonstrations import STEPS, draw_stages
from envs.push.staged.plans import plan_stages
from world_models.data import SequenceDataset, read_attributes

STAGED = ("push-corner", "push-two-pucks")


@pytest.fixture(scope="module", params=STAGED)
def env(request):
    made = PushEnv(task=request.param)
    yield made
    made.close()


def places(env, demonstration):
    """Pucks in every frame ``[T, K, 2]``."""
    found = []
    env.start(demonstration.scene)
    for state in demonstration.states:
        env.set_state(state)
        found.append([env.data.qpos[where].copy() for where in PUCKS[: env.task.pucks]])
    return np.array(found)


def test_demonstrations_end_with_every_puck_at_its_goal_and_cross_no_wall(env):
    for index in range(6):
        demonstration = draw_stages(env, seed=0, index=index)
        track = places(env, demonstration)
        goals = [goal for _, goal in demonstration.scene.errands]
        assert np.linalg.norm(track[-1] - goals, axis=-1).max() < KEPT_DISTANCE
        for way in np.moveaxis(track, 1, 0):
            assert not any(blocked(demonstration.scene, a, b, margin=0.0) for a, b in pairwise(way))
        assert demonstration.keyframes.shape == (FRAMES,) and 3 <= demonstration.keyframes.sum() <= 4


def test_the_puck_waits_until_the_second_one_is_out_of_the_way():
    env = PushEnv(task="push-two-pucks")
    for index in range(6):
        demonstration = draw_stages(env, seed=1, index=index)
        track = places(env, demonstration)
        moved = np.linalg.norm(track - track[0], axis=-1) > 0.05
        left = np.linalg.norm(track[:, 1] - demonstration.scene.second[1], axis=-1) < KEPT_DISTANCE
        assert left[np.flatnonzero(moved[:, 0])[0]]
    env.close()


def test_the_moment_of_the_turn_varies(env):
    """A constant offset cannot be right for all."""
    ends = [np.flatnonzero(draw_stages(env, seed=2, index=i).keyframes)[1] for i in range(25)]
    assert np.percentile(ends, 90) - np.percentile(ends, 10) >= 5


def test_frozen_scenes_are_demonstrated_the_same_way_twice(env):
    name = "push-corner-200" if env.task.pucks == 1 else "push-two-pucks-200"
    scene = load_manifest(name).starts[0]
    one, other = (find_demonstration(env, scene) for _ in range(2))
    assert one is not None and np.array_equal(one.states, other.states)


def test_what_does_not_fit_into_the_time_is_not_planned(env):
    scene = env.task.draw(np.random.default_rng(0))
    rng = np.random.default_rng(1)
    assert all(plan_stages(scene, rng, steps=20) is None for _ in range(20))
    plans = [plan for _ in range(50) if (plan := plan_stages(scene, rng, STEPS))]
    totals = [plan.rest + sum(int(stage.plan.durations.sum()) for stage in plan.stages) for plan in plans]
    assert plans and max(totals) <= STEPS


def test_same_seed_writes_the_same_bytes_and_they_tell_of_both_pucks(tmp_path, monkeypatch):
    monkeypatch.setattr(data_set, "SIZE", 2)
    for folder in ("one", "two"):
        for index in (0, 1):
            PUSH_TWO_PUCKS.collect(PushTwoPucks(out=tmp_path / folder))[0].write(5, index)
    paths = [SequenceDataset(tmp_path / folder).paths for folder in ("one", "two")]
    one, two = ([path.read_bytes() for path in shards] for shards in paths)
    assert one == two and one[0] != one[1]
    found = SequenceDataset(tmp_path / "one")[0:4]
    assert found.frames.shape == (4, FRAMES, 64, 64, 3) and found.states.shape == (4, FRAMES, 18)
    second, goal = found.states[:, -1, 14:16], found.states[:, -1, 16:18]
    assert np.linalg.norm(second - goal, axis=-1).max() < KEPT_DISTANCE
    assert read_attributes(paths[0][0])["environment"] == "waymark/PushTwoPucks-v0"


@pytest.mark.parametrize("data", [PUSH_CORNER, PUSH_TWO_PUCKS])
def test_each_task_can_be_collected(data):
    assert data in collect.DATA_SETS
    (part,) = data.collect(data.settings())
    assert part.origin["environment"] == PUSH_IDS[data.name] and part.out == Path("data") / data.name
