"""Scenes in which order and moment count."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from envs.push.env import PushEnv
from envs.push.scene import PUCK_RADIUS, Scene, Wall, blocked, distance_left
from envs.push.tasks import TASKS
from envs.push.variation.factors import Variation
from envs.push.variation.model import build_model
from envs.rendering import Projection
from world_models.segmenter import TWO_PUCKS_GOAL

STAGED = ("push-corner", "push-two-pucks")
GAP = (Wall((0.0, 0.82), np.pi / 2, 0.6), Wall((0.0, -0.82), np.pi / 2, 0.6))


def two_pucks(**changed) -> Scene:
    scene = Scene(GAP, (-0.5, 0.6), (0.5, 0.6), (0.3, 0.0), second=((0.0, 0.0), (-0.4, -0.4)))
    return replace(scene, **changed)


@pytest.fixture(scope="module")
def env():
    made = PushEnv(task="push-two-pucks")
    yield made
    made.close()


def test_the_end_of_the_arm_is_the_only_way_out_of_the_corner():
    for seed in range(30):
        scene = TASKS["push-corner"].draw(np.random.default_rng(seed))
        floor, arm = scene.walls
        tip = max(arm.end_points(0.0), key=lambda end: float(np.linalg.norm(end - floor.middle)))
        beyond = tip + 0.2 * (tip - arm.middle) / np.linalg.norm(tip - arm.middle)
        other = tip + 1.2 * (arm.middle - tip) * 2
        for point in (np.array(scene.puck), np.array(scene.goal)):
            assert not blocked(scene, point, beyond, margin=0.0)
        assert blocked(scene, np.array(scene.puck), other, margin=0.0)


def test_the_puck_fits_through_the_gap_only_when_the_second_one_has_left():
    for seed in range(30):
        scene = TASKS["push-two-pucks"].draw(np.random.default_rng(seed))
        gap, away = np.array(scene.second)
        ends = [min(w.end_points(0.0), key=lambda e: float(np.linalg.norm(e - gap))) for w in scene.walls]
        width = np.linalg.norm(ends[0] - ends[1])
        assert 2 * PUCK_RADIUS < width < 4 * PUCK_RADIUS
        assert not blocked(scene, gap, away), "it is drawn back to the puck's side"
        assert not any(blocked(scene, a, b, 0.0) for a, b in pairwise([np.array(scene.puck), away]))


@pytest.mark.parametrize("name", STAGED)
def test_a_start_touches_nothing(name):
    task = TASKS[name]
    env = PushEnv(task=name, render_mode=None)
    for seed in range(20):
        env.start(task.draw(np.random.default_rng(seed)))
        assert env.data.ncon == 0
    env.close()


def test_scenes_keep_their_second_puck():
    scene = two_pucks()
    assert Scene.from_json(scene.to_json()) == scene
    assert scene.digest != replace(scene, second=None).digest
    assert "second" not in replace(scene, second=None).to_json()


def test_the_distance_left_is_that_of_the_puck_with_the_longer_way():
    scene = two_pucks()
    there = [np.array(goal) for _, goal in scene.errands]
    assert distance_left(scene, there) == 0.0
    assert distance_left(scene, [there[0], np.array([-0.4, -0.2])]) == pytest.approx(0.2)
    assert distance_left(scene, [np.array([0.5, 0.3]), np.array([-0.4, -0.2])]) == pytest.approx(0.3)


def test_both_pucks_are_pictured_where_they_are_and_where_they_should_be(env):
    picture, info = env.reset(options={"scene": two_pucks()})
    assert set(info["state"]) == {"puck", "finger", "goal", "second_puck", "second_goal"}
    assert not info["success"]
    project = Projection(env.model, "table", 64)
    for shown, number in ((picture, 0), (info["goal"], 1)):
        frame = torch.from_numpy(shown).permute(2, 0, 1)[None] / 255
        for wanted, errand in zip(TWO_PUCKS_GOAL.objects, two_pucks().errands, strict=True):
            assert wanted.segmenter.whole(frame)
            expected = project(np.array(errand[number]), 0.0)
            assert np.abs(wanted.segmenter.blob(frame).centre[0].numpy() - expected).max() < 1.5


def test_pucks_push_each_other(env):
    scene = two_pucks(puck=(-0.3, 0.0), finger=(-0.55, 0.0))
    env.start(scene)
    for _ in range(6):
        env.advance(np.array([1.0, 0.0]))
    now = env.positions()
    assert now["second_puck"][0] > 0.1
    assert now["second_puck"][0] - now["puck"][0] > 1.8 * PUCK_RADIUS


def test_scenes_of_another_number_of_pucks_are_refused(env, push):
    with pytest.raises(ValueError, match=r"has 1 .* this task 2"):
        env.reset(options={"scene": two_pucks(second=None)})
    with pytest.raises(ValueError, match=r"has 2 .* this task 1"):
        push.start(two_pucks())


def test_the_second_puck_varies_as_the_first_but_for_its_colour():
    model = build_model(Variation(puck_radius=1.1, friction=2.0, puck_color=(0.0, 0.0, 0.0)), pucks=2)
    for one, other in (("puck", "second_puck"), ("puck_visual", "second_puck_visual")):
        assert model.geom(one).size[0] == model.geom(other).size[0] == pytest.approx(0.132)
    for axis in ("_x", "_y"):
        one, other = model.joint("puck" + axis), model.joint("second_puck" + axis)
        assert one.damping == other.damping and one.frictionloss == other.frictionloss
    assert model.geom("second_puck_visual").rgba[1] == pytest.approx(0.7)
