"""Goals without a colour: their distances, what plans cost, and how they are stored."""

import json

import pytest
import torch

from world_models.checkpoint import CheckpointError, read_model, write_goal, write_model
from world_models.goals import BodyGoal, EmbeddingGoal, KeypointsGoal, read_goal
from world_models.keyin.model import KeyIn
from world_models.keyin.presets import KEYIN_DEBUG

EMBEDDING = EmbeddingGoal(unit=4.0, reached=1.5, cycle_limit=2.0, time_weight=0.5, prior_weight=0.25)


def line(*places):
    """Plans of one number per keyframe."""
    return torch.tensor(places, dtype=torch.float32)[None, :, None]


def test_embeddings_are_compared_in_units():
    assert EMBEDDING.distance(torch.tensor([[3.0, 4.0]]), torch.zeros(1, 2)).tolist() == [2.5]


def test_a_plan_costs_what_the_keyframe_does_that_it_ends_at():
    times, decisions = torch.tensor([[2.0, 4.0, 6.0]]), line(1.0, 2.0, 2.0)
    price = EMBEDDING.price(line(6.0, 10.0, 14.0), times, decisions, torch.tensor([[10.0]]))
    # squares / 4, half a unit a frame, a quarter of the decisions' squares so far
    assert price.tolist() == [[4 + 1 + 0.25, 0 + 2 + 1.25, 4 + 3 + 2.25]]
    last = EMBEDDING.model_copy(update={"match": "last"})
    price = last.price(line(6.0, 10.0, 14.0), times, decisions, torch.tensor([[10.0]]))
    assert price.tolist() == [[float("inf"), float("inf"), 9.25]]


def test_keypoints_count_by_movement_and_scale():
    goal = KeypointsGoal(weights=(1.0, 0.5, 0.0), unit=0.5, reached=1.0)
    target = torch.tensor([[0.0, 0.0, 1.0, 0.0, 0.0, 0.5, 0.0, 0.0, 1.0, 0.0, 0.0, 3.0]])
    moved = torch.tensor([[0.6, 0.8, 1.0, 0.0, 1.0, 1.0, 0.9, 0.9, 1.0, 9.0, 9.0, 9.0]])
    # counts 1, 0.25, 0 of squares 1, 1, 1.62: their mean is 1, in units of a half
    assert goal.distance(moved, target).tolist() == pytest.approx([2.0])
    still = target.requires_grad_()
    goal.distance(still, target.detach()).sum().backward()
    assert still.grad.isfinite().all()


@pytest.mark.parametrize(
    "goal", [EMBEDDING, KeypointsGoal(weights=(1.0,), unit=1.0, reached=2.0), BodyGoal(body="dot", reached=1)]
)
def test_goals_are_stored_beside_the_weights(goal, tmp_path):
    assert read_goal(json.loads(goal.model_dump_json())) == goal
    model = KeyIn(KEYIN_DEBUG.model)
    write_model(tmp_path / "model", KEYIN_DEBUG.model, model, "# card\n", goal=goal)
    stored = read_model(tmp_path / "model")
    assert stored.goal == goal
    write_goal(tmp_path / "model", EMBEDDING)
    assert read_model(tmp_path / "model").goal == EMBEDDING
    (tmp_path / "model" / "goal.json").write_text(goal.model_dump_json() + " ")
    with pytest.raises(CheckpointError, match=r"goal\.json differs"):
        read_model(tmp_path / "model")


@pytest.mark.parametrize("content", [{}, {"kind": "colour"}, {"kind": "body", "body": "dot", "reached": 0}])
def test_what_is_no_goal_is_refused(content):
    with pytest.raises(ValueError, match="no goal of a model"):
        read_goal(content)


def test_models_without_a_goal_store_none(tmp_path):
    write_model(tmp_path, KEYIN_DEBUG.model, KeyIn(KEYIN_DEBUG.model), "# card\n")
    assert read_model(tmp_path).goal is None
    assert not (tmp_path / "goal.json").exists()
