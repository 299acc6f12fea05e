"""The weights that ship: they load, say where they come from, and plan as their card says on frozen tasks."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from envs.push.demonstrations import draw_demonstration, render_sequences
from envs.push.env import CAMERA, SUCCESS
from envs.push.episodes import load_manifest
from envs.push.world import PushWorld
from envs.rendering import Projection
from planner.episode import run_episode
from planner.goals import make_goal
from planner.loading import available_models, load_keyin, load_planner
from planner.low_levels.low_level import true_servo
from planner.pursuit import Actor, own_seeds
from planner.subgoals import keyin_subgoals
from server.client import Client
from server.local import running_server
from world_models.frames import to_tensor
from world_models.interface import Context
from world_models.keyin.presets import PRESETS
from world_models.segmenter import PUCK_GOAL
from world_models.shipped import PRETRAINED

PUCK = PUCK_GOAL.segmenter
TASKS = 6


@pytest.fixture(scope="module")
def push():
    world = PushWorld()
    yield world
    world.close()


@pytest.fixture(scope="module")
def ready():
    return load_planner("keyin-push")


def plan(ready, world, scene, seed=0, keyframes=None):
    picture, goal = world.begin(scene)
    context = Context(to_tensor(picture)[None, None], torch.zeros(1, 0, 2))
    randomness = [torch.Generator().manual_seed(seed)]
    return ready.planner.plan(context, to_tensor(goal)[None], randomness, keyframes=keyframes)


def crosses(a, b, c, d) -> bool:
    """Whether the segments a-b and c-d cut each other, all points in pixels."""

    def side(p, q, r):
        return np.sign((q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0]))

    return side(a, b, c) != side(a, b, d) and side(c, d, a) != side(c, d, b)


def test_every_model_has_a_card_with_its_origin_and_all_are_small():
    assert available_models()[0] == "keyin-push"
    for name in ("keyin-brownian", "tap-push", *available_models()):
        card = (PRETRAINED / name / "card.md").read_text()
        assert "world_models.train" in card
        assert "seed" in card
    size = sum(path.stat().st_size for path in PRETRAINED.rglob("*") if path.is_file())
    assert size <= 60e6


def test_plans_reach_the_goal_picture_with_whole_pucks_round_the_wall(ready, push):
    project = Projection(push.env.model, CAMERA, ready.image_size)
    crossings = 0
    for scene in load_manifest("push-400").starts[:TASKS]:
        found = plan(ready, push, scene)
        assert found.whole.all()
        assert found.cost.item() < 2.0  # pixels: less than the radius of the puck
        assert (found.times.diff(dim=-1) > 0).all()
        centres = PUCK.blob(found.subgoals[0]).centre.double().numpy()
        start = project(np.array([scene.puck]), 0.0)
        ends = project(scene.walls[0].end_points(margin=0.0), 0.0)
        route = np.concatenate([start, centres])
        crossings += any(crosses(a, b, *ends) for a, b in pairwise(route))
    assert crossings <= 1


@pytest.fixture(scope="module")
def two_walls():
    world = PushWorld("push-two-walls")
    yield world
    world.close()


@pytest.mark.parametrize("rhythm", ["regular", "irregular", "pauses"])
def test_three_keyframes_lead_between_two_walls(two_walls, rhythm):
    timed, crossings = load_planner(f"keyin-push-{rhythm}"), 0
    for scene in load_manifest("push-two-walls-m3-200").starts[:TASKS]:
        found = plan(timed, two_walls, scene, keyframes=3)
        assert found.subgoals.shape[1] == 3 and found.whole.all()
        places = [tuple(place) for place in PUCK.blob(found.subgoals[0]).centre.tolist()]
        crossings += two_walls.record(scene, [two_walls.measure()], [places])["plan_crosses_wall"]
    assert crossings <= 1


def test_the_harder_the_task_the_more_keyframes_a_model_that_may_choose_takes(push, two_walls):
    chooses = load_planner("keyin-push-irregular")

    def mean(world, manifest):
        scenes = load_manifest(manifest).starts[:TASKS]
        return np.mean([plan(chooses, world, s, keyframes="auto").subgoals.shape[1] for s in scenes])

    assert mean(push, "push-400") < mean(two_walls, "push-two-walls-m3-200") <= 5


def test_one_seed_one_plan(ready, push):
    scene = load_manifest("push-400").starts[0]
    one, again, other = (plan(ready, push, scene, seed) for seed in (3, 3, 4))
    assert torch.equal(one.subgoals, again.subgoals)
    assert torch.equal(one.history, again.history)
    assert not torch.equal(one.subgoals, other.subgoals)


@pytest.mark.slow
def test_frozen_episodes_end_at_the_goal(ready, push):
    actor = Actor(true_servo(push), keyin_subgoals(ready.planner), make_goal(ready.goal))
    outcomes = [
        run_episode(push, scene, actor, own_seeds(index))
        for index, scene in enumerate(load_manifest("push-400").starts[:10])
    ]
    # The card says nearly all of 400; eight of ten leaves room for a small sample.
    assert sum(outcome.measures[-1]["distance"] < SUCCESS for outcome in outcomes) >= 8


@pytest.mark.slow
def test_same_request_same_plan_after_a_restart(push):
    picture, goal = push.begin(load_manifest("push-400").starts[1])
    digests = []
    for _ in range(2):
        with running_server("keyin-push", threads=1) as url, Client(url) as client:
            replies = [client.plan(picture, goal, seed=seed) for seed in (5, 5, 6)]
            digests += [reply.response.digest for reply in replies]
    assert digests[0] == digests[1] == digests[3] == digests[4]
    assert digests[2] == digests[5] != digests[0]


def test_every_rendered_puck_counts_as_one_whole_puck(push):
    demonstrations = [draw_demonstration(push.env, seed=1, index=index) for index in range(4)]
    frames = to_tensor(render_sequences(push.env, demonstrations).frames.reshape(-1, 64, 64, 3))
    assert PUCK.whole(frames).all()


def test_training_looks_for_the_puck_of_the_environment():
    thing = PRESETS["keyin-push"][1].object
    assert (thing.color, thing.tolerance) == (PUCK.color, PUCK.tolerance)


def test_planners_are_asked_for_the_puck(ready):
    assert ready.goal == PUCK_GOAL and ready.segmenter == PUCK
    assert load_keyin("keyin-brownian").config.goal is None
