"""What is wanted of pictures, and what searches pay for it."""

import pytest
import torch

from planner.goals import APPROACH_WEIGHT, ObjectInPicture, action_cost, make_goal, picture_cost
from planner.search.costs import Return
from world_models.interface import Future
from world_models.segmenter import ObjectGoal


@pytest.fixture
def wanted(toy_segmenter) -> ObjectGoal:
    return ObjectGoal(segmenter=toy_segmenter, body="puck", effector="finger")


@pytest.fixture
def goal(wanted) -> ObjectInPicture:
    found = make_goal(wanted)
    assert isinstance(found, ObjectInPicture) and found.wanted == wanted
    return found


def test_a_picture_shows_where_the_object_is(goal, toy_picture):
    target = goal.target(torch.cat([toy_picture((20.0, 40.0), (50.0, 10.0)), torch.zeros(1, 3, 64, 64)]))
    assert torch.allclose(target[:2], torch.tensor([[20.0, 40.0], [50.0, 10.0]]), atol=0.1)
    assert target[2].isnan().all(), "a black picture shows nothing of it"


def test_distances_are_in_pixels_and_infinite_where_nothing_is_seen(goal):
    found = torch.tensor([[10.0, 10.0], [torch.nan, torch.nan], [3.0, 4.0]])
    target = torch.tensor([[13.0, 14.0], [1.0, 1.0], [torch.nan, torch.nan]])
    assert goal.distance(found, target).tolist() == [5.0, float("inf"), float("inf")]


def test_pictures_of_exactly_one_whole_object_are_plausible(goal, toy_picture):
    one, two = toy_picture((20.0, 40.0), (45.0, 20.0))
    both = torch.where((two[0] > 0.6) & (two[1] < 0.25), two, one)
    cut_off = toy_picture((-1.5, 30.0))[0]
    pictures = torch.stack([one, both, cut_off, torch.zeros(3, 64, 64)])
    assert goal.plausible(pictures).tolist() == [True, False, False, False]


def test_where_reward_is_wanted_pictures_are_not_asked():
    assert make_goal(None) is None


def features(*rows):
    """Futures of one step each, whose features are these."""
    return Future(torch.tensor(rows)[:, None], torch.ones(len(rows), 1)), torch.zeros(len(rows), 1, 2)


def test_actions_bring_the_object_to_its_place_and_the_effector_to_the_object(wanted, toy_picture):
    cost = action_cost(wanted)
    target = cost.target(toy_picture((30.0, 30.0))).expand(3, -1)
    future, decisions = features([30.0, 30.0, 30.0, 30.0], [33.0, 34.0, 33.0, 34.0], [30.0, 30.0, 30.0, 50.0])
    there, near, away = cost(future, decisions, target).tolist()
    assert there == pytest.approx(0.0, abs=0.2)
    assert near == pytest.approx(5.0, abs=0.2)
    assert away - there == pytest.approx(APPROACH_WEIGHT * 20.0, abs=0.05)


def test_without_an_object_actions_earn_reward():
    cost = action_cost(None)
    assert isinstance(cost, Return)
    future, decisions = features([2.0], [-1.0])
    assert cost(future, decisions, cost.target(torch.zeros(2, 3, 8, 8))).tolist() == [-2.0, 1.0]


def test_plans_are_priced_by_what_their_pictures_show(wanted, point_mass, toy_picture):
    cost = picture_cost(wanted, point_mass.decode)
    target = cost.target(toy_picture((30.0, 30.0))).expand(2, -1)
    future, decisions = features([30.0, 30.0], [30.0, 40.0])
    near, far = cost(future, decisions, target).tolist()
    assert near == pytest.approx(0.0, abs=0.2) and far == pytest.approx(10.0, abs=0.2)
