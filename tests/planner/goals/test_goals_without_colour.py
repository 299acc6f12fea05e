"""Embeddings, keypoints and bodies as goals, and planners of models that have them."""

import pytest
import torch

from planner.goals import (
    BodyInPlace,
    EmbeddingCost,
    Goal,
    KeypointsCost,
    KeypointsInPlace,
    SameEmbedding,
    keypoint_goal,
)
from planner.loading import load_planner, load_ready
from planner.search.hierarchy import HierarchyConfig
from world_models.checkpoint import CheckpointError, write_goal, write_model
from world_models.goals import BodyGoal, EmbeddingGoal, KeypointsGoal
from world_models.interface import Context, Future
from world_models.keyin.model import KeyIn
from world_models.keyin.presets import KEYIN_DEBUG
from world_models.struct_vrnn.config import StructVRNNConfig
from world_models.struct_vrnn.model import StructVRNN

CONFIG = KEYIN_DEBUG.model.model_copy(update={"goal": None})
WANTED = EmbeddingGoal(unit=2.0, reached=1.0, cycle_limit=4.0, time_weight=0.1, prior_weight=0.2)
WORLD = StructVRNNConfig(
    actions=1, image_size=16, widths=(0, 4, 8), keypoints=2, bodies=("dot",), latent=2, hidden=8
)


@pytest.fixture
def keyin():
    return KeyIn(CONFIG).eval().requires_grad_(False)


@pytest.fixture
def world():
    return StructVRNN(WORLD).eval().requires_grad_(False)


def pictures(count, size=16):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def test_a_picture_is_its_embedding(keyin):
    goal, shown = SameEmbedding(WANTED, keyin), pictures(3)
    assert isinstance(goal, Goal)
    found = goal.target(shown)
    assert torch.equal(found, keyin.embed(shown))
    away = (found[0] - found[1]).square().sum().div(2.0).sqrt()
    assert goal.distance(found[:1], found[1:2]).tolist() == pytest.approx([float(away)])


def test_what_does_not_survive_a_cycle_is_not_plausible(keyin):
    shown = pictures(4)
    embeddings = keyin.embed(shown)
    errors = (keyin.embed(keyin.decode(embeddings)) - embeddings).square().sum(-1)
    between = float(errors.sort().values[1:3].mean())
    goal = SameEmbedding(WANTED.model_copy(update={"cycle_limit": between}), keyin)
    assert goal.plausible(shown).tolist() == (errors < between).tolist()
    assert goal.plausible(shown).sum() == 2
    assert goal.consistent(keyin.decode(embeddings), embeddings).tolist() == (errors < between).tolist()


def test_plans_cost_what_their_cheapest_end_does(keyin):
    cost, goal = EmbeddingCost(WANTED, keyin), pictures(2)
    decisions = torch.randn(2, 3, 2, generator=torch.Generator().manual_seed(1))
    future = keyin.imagine(keyin.encode(Context(goal[:, None], torch.zeros(2, 0, 1))), decisions)
    target = cost.target(goal)
    every = WANTED.price(future.features, future.times, decisions, target)
    torch.testing.assert_close(cost(future, decisions, target), every.min(-1).values)


def test_keypoints_and_bodies_are_where_pictures_show_them(world):
    shown = pictures(2)
    features = world.embed(shown)
    future = Future(features[:1, None], torch.ones(1, 1))
    keypoints = keypoint_goal(KeypointsGoal(weights=(1.0, 0.3), unit=0.1, reached=1.0), world)
    body = keypoint_goal(BodyGoal(body="dot", reached=1.0), world)
    assert isinstance(keypoints, KeypointsInPlace) and isinstance(body, BodyInPlace)
    torch.testing.assert_close(body.target(shown), world.places(features)[:, 0])
    for goal in (keypoints, body):
        assert isinstance(goal, Goal) and goal.plausible(shown).all()
        cost = KeypointsCost(goal)
        away = goal.distance(goal.target(shown[:1]), goal.target(shown[1:]))
        torch.testing.assert_close(cost(future, torch.zeros(1, 1, 1), cost.target(shown[1:])), away)
        assert float(cost(future, torch.zeros(1, 1, 1), cost.target(shown[:1]))) < float(away)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (KeypointsGoal(weights=(1.0,), unit=1.0, reached=1.0), "weighs 1 keypoints, the model has 2"),
        (BodyGoal(body="ball", reached=1.0), "knows dot, not ball"),
        (WANTED, "keypoints or body, not embedding"),
    ],
)
def test_goals_of_other_models_are_refused(world, wanted, words):
    with pytest.raises(ValueError, match=words):
        keypoint_goal(wanted, world)


def test_a_model_without_a_colour_plans_toward_the_embedding(keyin, tmp_path):
    write_model(tmp_path / "m", CONFIG, keyin, "# card\n", goal=WANTED)
    ready = load_planner(str(tmp_path / "m"), hierarchy=HierarchyConfig(shortlist=3))
    assert ready.goal == WANTED and ready.planner.config.keyframes == 3
    with pytest.raises(ValueError, match="asked for whole pictures"):
        _ = ready.segmenter
    shown = pictures(2)
    one, other = (
        ready.planner.plan(
            Context(shown[:1, None], torch.zeros(1, 0, 1)), shown[1:], [torch.Generator().manual_seed(7)]
        )
        for _ in range(2)
    )
    model = ready.planner.model
    assert all(torch.equal(getattr(one, name), getattr(other, name)) for name in ("subgoals", "features"))
    torch.testing.assert_close(model.decode(one.features[0]), one.subgoals[0])
    errors = (model.embed(one.subgoals[0]) - one.features[0]).square().sum(-1)
    assert one.whole[0].tolist() == (errors < WANTED.cycle_limit).tolist()


def test_models_that_cannot_be_asked_are_refused(keyin, tmp_path):
    write_model(tmp_path / "m", CONFIG, keyin, "# card\n")
    with pytest.raises(ValueError, match="has no goal"):
        load_planner(str(tmp_path / "m"))
    write_goal(tmp_path / "m", BodyGoal(body="dot", reached=1.0))
    with pytest.raises(CheckpointError, match="no body that could be wanted"):
        load_planner(str(tmp_path / "m"))
    write_goal(tmp_path / "m", WANTED)
    ready = load_ready(str(tmp_path / "m"))
    assert ready.goal == WANTED and ready.follows
    with pytest.raises(ValueError, match="looks for no object"):
        assert ready.segmenter
