"""The weights that ship: they load, say where they come from, and plan as their card says on frozen tasks."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from envs.push.demonstrations import draw_demonstration, render_sequences
from envs.push.env import CAMERA, SUCCESS, PushEnv
from envs.push.episodes import load_manifest
from envs.rendering import Projection
from planner.episode import EpisodeConfig, run_episode
from planner.loading import PUCK_SEGMENTER, available_models, load_planner, simulator_servo
from planner.subgoals import SimulatorController, keyin_subgoals
from server.client import Client
from server.local import running_server
from world_models.frames import to_tensor
from world_models.interface import Context
from world_models.keyin.presets import PRESETS
from world_models.shipped import PRETRAINED

TASKS = 6


@pytest.fixture(scope="module")
def push():
    env = PushEnv()
    yield env
    env.close()


@pytest.fixture(scope="module")
def ready():
    return load_planner("keyin-push")


def plan(ready, env, scene, seed=0):
    picture, info = env.reset(options={"scene": scene})
    context = Context(to_tensor(picture)[None, None], torch.zeros(1, 0, 2))
    goal = to_tensor(info["goal"])[None]
    return ready.planner.plan(context, goal, [torch.Generator().manual_seed(seed)])


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
    project = Projection(push.model, CAMERA, ready.image_size)
    crossings = 0
    for scene in load_manifest("push-400").scenes[:TASKS]:
        found = plan(ready, push, scene)
        assert found.whole.all()
        assert found.cost.item() < 2.0  # pixels: less than the radius of the puck
        assert (found.times.diff(dim=-1) > 0).all()
        centres = PUCK_SEGMENTER.blob(found.subgoals[0]).centre.double().numpy()
        start = project(np.array([scene.puck]), 0.0)
        ends = project(scene.walls[0].end_points(margin=0.0), 0.0)
        route = np.concatenate([start, centres])
        crossings += any(crosses(a, b, *ends) for a, b in pairwise(route))
    assert crossings <= 1


def test_one_seed_one_plan(ready, push):
    scene = load_manifest("push-400").scenes[0]
    one, again, other = (plan(ready, push, scene, seed) for seed in (3, 3, 4))
    assert torch.equal(one.subgoals, again.subgoals)
    assert torch.equal(one.history, again.history)
    assert not torch.equal(one.subgoals, other.subgoals)


@pytest.mark.slow
def test_frozen_episodes_end_at_the_goal(ready, push):
    controller = SimulatorController(simulator_servo(push), push)
    outcomes = [
        run_episode(
            push,
            scene,
            keyin_subgoals(ready.planner),
            controller,
            PUCK_SEGMENTER,
            EpisodeConfig(),
            index,
        )
        for index, scene in enumerate(load_manifest("push-400").scenes[:10])
    ]
    # The card says nearly all of 400; eight of ten leaves room for a small sample.
    assert sum(outcome.distance < SUCCESS for outcome in outcomes) >= 8


@pytest.mark.slow
def test_same_request_same_plan_after_a_restart(push):
    picture, info = push.reset(options={"scene": load_manifest("push-400").scenes[1]})
    digests = []
    for _ in range(2):
        with running_server("keyin-push", threads=1) as url, Client(url) as client:
            replies = [client.plan(picture, info["goal"], seed=seed) for seed in (5, 5, 6)]
            digests += [reply.response.digest for reply in replies]
    assert digests[0] == digests[1] == digests[3] == digests[4]
    assert digests[2] == digests[5] != digests[0]


def test_every_rendered_puck_counts_as_one_whole_puck(push):
    demonstrations = [draw_demonstration(push, seed=1, index=index) for index in range(4)]
    frames = to_tensor(render_sequences(push, demonstrations).frames.reshape(-1, 64, 64, 3))
    assert PUCK_SEGMENTER.whole(frames).all()


def test_training_looks_for_the_puck_of_the_environment():
    thing = PRESETS["keyin-push"][1].object
    assert (thing.color, thing.tolerance) == (PUCK_SEGMENTER.color, PUCK_SEGMENTER.tolerance)
