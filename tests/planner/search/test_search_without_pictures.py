"""A search that reads places off features, and looks at the pictures of what it chooses from alone."""

import pytest
import torch
from torch.nn import functional

from planner.evaluation.push import Push
from planner.goals import find_objects, place_cost
from planner.loading import load_planner
from planner.search.hierarchy import HierarchyConfig, Planner
from world_models.checkpoint import read_model, write_model, write_reader
from world_models.keyin.model import KeyIn
from world_models.keyin.presets import KEYIN_DEBUG
from world_models.keyin.reader.network import PlaceReader
from world_models.segmenter import ObjectGoal
from world_models.shipped import reader_digest


@pytest.fixture
def decoded(point_mass, monkeypatch):
    """How many pictures each call of ``decode`` has made."""
    counts, decode = [], point_mass.decode

    def counting(features):
        counts.append(len(features))
        return decode(features)

    monkeypatch.setattr(point_mass, "decode", counting)
    return counts


def make(point_mass, error):
    """A planner whose reader is off by ``error`` pixels in x."""
    wanted = ObjectGoal(segmenter=point_mass.segmenter, body="puck", effector="finger")
    goal = find_objects(wanted)
    cost = place_cost(wanted, lambda features: features + torch.tensor([error, 0.0]))
    appraise = lambda picture, target: goal.distance(goal.target(picture), target)  # noqa: E731
    return Planner(point_mass, cost, HierarchyConfig(choice="cheapest"), goal.plausible, appraise=appraise)


def test_only_plans_that_may_be_chosen_are_decoded(point_mass, toy_context, toy_picture, decoded):
    context, goal = toy_context((20.0, 20.0)), toy_picture((40.0, 30.0))
    decoded.clear()
    plan = make(point_mass, 0.0).plan(context, goal, [torch.Generator().manual_seed(0)])
    assert set(decoded) == {plan.subgoals.shape[1]} and len(decoded) <= 20
    assert plan.cost.item() < 3.0


def test_a_plan_costs_what_its_last_picture_shows(point_mass, toy_context, toy_picture):
    context, goal = toy_context((20.0, 20.0)), toy_picture((40.0, 30.0))
    segmenter = point_mass.segmenter
    for error in (0.0, 3.0):
        planner = make(point_mass, error)
        plan = planner.plan(context, goal, [torch.Generator().manual_seed(0)])
        end = segmenter.blob(plan.subgoals[:, -1]).centre
        assert plan.cost.item() == pytest.approx((end - segmenter.blob(goal).centre).norm().item(), abs=1e-4)
    # Misled by three pixels, the search is content with plans that end as far away.
    assert plan.cost.item() == pytest.approx(3.0, abs=1.0) and plan.history[0, -1] < 1.0


def test_models_with_a_reader_search_with_it(tmp_path):
    folder = tmp_path / "model"
    write_model(folder, KEYIN_DEBUG.model, KeyIn(KEYIN_DEBUG.model), "")
    config = KEYIN_DEBUG.model
    features = functional.layer_norm(torch.randn(5, config.embedding), (config.embedding,))
    looking = load_planner(str(folder)).planner
    assert looking.appraise is None
    reader = PlaceReader(config.embedding, 4, 1, config.image_size)
    write_reader(folder, reader.state_dict())
    reading = load_planner(str(folder)).planner
    stored = PlaceReader.from_tensors(read_model(folder).reader, config.image_size)
    assert reading.appraise is not None
    assert Push(planners="keyin", model=str(folder)).digests().keys() == {"keyin"}
    (settings,) = Push(planners="keyin", model=str(folder)).dependencies([("keyin", "simulator")]).values()
    assert settings["reader_sha256"] == reader_digest(str(folder))
    assert torch.equal(reading.cost.locate(features).isnan(), stored.locate(features).isnan())
    assert torch.equal(reading.cost.locate(features).nan_to_num(), stored.locate(features).nan_to_num())
