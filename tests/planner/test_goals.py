"""What is wanted of pictures, and what searches pay for it."""

import pytest
import torch

from planner.goals import (
    APPROACH_WEIGHT,
    ObjectInPicture,
    ObjectsInPicture,
    action_cost,
    make_goal,
    picture_cost,
)
from planner.search.costs import Return
from world_models.interface import Future
from world_models.segmenter import ColorSegmenter, ObjectGoal, ObjectsGoal


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


GREEN = ColorSegmenter(color=(0.1, 0.9, 0.1), tolerance=0.3, min_mass=5, max_mass=40, max_radius=4.0)


@pytest.fixture
def both(wanted) -> ObjectsGoal:
    return ObjectsGoal(objects=(wanted, ObjectGoal(segmenter=GREEN, body="second", effector="finger")))


@pytest.fixture
def two_things(toy_picture):
    """(place of the first, place of the second or None) -> a picture ``[1, 3, H, W]``."""

    def draw(first, second):
        picture = toy_picture(first)
        if second is not None:
            x, y = second
            picture[:, :, y - 1 : y + 2, x - 1 : x + 2] = torch.tensor(GREEN.color)[:, None, None]
        return picture

    return draw


def test_goals_of_several_objects_are_as_far_as_all_of_them_together(both, two_things):
    goal = make_goal(both)
    assert isinstance(goal, ObjectsInPicture)
    pictures = torch.cat([two_things((20.0, 40.0), (50, 10)), two_things((23.0, 44.0), (50, 16))])
    target = goal.target(pictures)
    assert torch.allclose(target[0], torch.tensor([20.0, 40.0, 50.0, 10.0]), atol=0.1)
    assert float(goal.distance(target[:1], target[1:])) == pytest.approx(5.0 + 6.0, abs=0.2)
    assert goal.plausible(pictures).tolist() == [True, True]


def test_pictures_that_lack_one_of_several_objects_are_neither_near_nor_plausible(both, two_things):
    goal = make_goal(both)
    whole, lacking = two_things((20.0, 40.0), (50, 10)), two_things((20.0, 40.0), None)
    assert goal.plausible(torch.cat([whole, lacking])).tolist() == [True, False]
    assert goal.distance(goal.target(lacking), goal.target(whole)).tolist() == [float("inf")]
    with pytest.raises(ValueError, match=r"shows no object of colour \(0.1, 0.9, 0.1\)"):
        action_cost(both).target(lacking)


def test_actions_bring_all_objects_to_their_places_and_the_effector_to_the_farthest(both, two_things):
    cost = action_cost(both)
    target = cost.target(two_things((30.0, 30.0), (50, 10))).expand(3, -1)
    future, decisions = features(
        [30.0, 30.0, 50.0, 16.0, 50.0, 16.0],  # the second is off, the effector at it
        [30.0, 30.0, 50.0, 16.0, 50.0, 36.0],  # ... and 20 pixels away from it
        [30.0, 39.0, 50.0, 16.0, 30.0, 39.0],  # both are off, the first farther, the effector at that
    )
    at_it, away, both_off = cost(future, decisions, target).tolist()
    assert at_it == pytest.approx(6.0, abs=0.2)
    assert away - at_it == pytest.approx(APPROACH_WEIGHT * 20.0, abs=0.05)
    assert both_off == pytest.approx(9.0 + 6.0, abs=0.2)


def test_plans_for_several_objects_are_priced_by_what_their_pictures_show(both, two_things):
    shown = {0.0: two_things((30.0, 30.0), (50, 14)), 1.0: two_things((30.0, 30.0), None)}
    cost = picture_cost(both, lambda rows: torch.cat([shown[float(row)] for row in rows[:, 0]]))
    target = cost.target(two_things((30.0, 30.0), (50, 10))).expand(2, -1)
    future, decisions = features([0.0], [1.0])
    assert cost(future, decisions, target).tolist() == [pytest.approx(4.0, abs=0.2), float("inf")]


def test_objects_of_a_goal_have_one_effector(wanted):
    other = wanted.model_copy(update={"effector": "hand"})
    with pytest.raises(ValueError, match="same effector, got finger, hand"):
        ObjectsGoal(objects=(wanted, other))
