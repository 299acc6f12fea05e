"""When subgoals are reached, given up and replaced."""

import pytest
import torch
from torch import Tensor

from planner.queues import Radii, SubgoalQueue

RADII = Radii(subgoal=2.0, passing=2.0, goal=1.0)


class Line:
    """A goal on a line: the first pixel of a picture says where; nothing is seen in negative ones."""

    sides = 1

    def target(self, pictures: Tensor) -> Tensor:
        places = pictures[:, : self.sides, 0, 0]
        return torch.where(places < 0, torch.nan, places)

    def distance(self, found: Tensor, target: Tensor) -> Tensor:
        return (found - target).norm(dim=-1).nan_to_num(torch.inf)

    def plausible(self, pictures: Tensor) -> Tensor:
        return torch.ones(len(pictures), dtype=torch.bool)


def picture(*places: float) -> Tensor:
    return torch.tensor(places)[:, None, None, None].expand(-1, 3, 2, 2)


def found(place: float) -> Tensor:
    return torch.tensor([[place]])


@pytest.fixture
def queue() -> SubgoalQueue:
    """On the way to 9; subgoals are reached within 2, the goal within 1."""
    return SubgoalQueue(Line(), picture(9.0), RADII, most_steps=3)


def pursued(queue: SubgoalQueue) -> float:
    assert queue.subgoal.shape == (1, 3, 2, 2)
    return float(queue.subgoal[0, 0, 0, 0])


def test_the_goal_alone_is_ahead_at_first(queue):
    assert queue.at_goal and pursued(queue) == 9 and queue.place == 0


def test_subgoals_come_before_the_goal_in_their_order(queue):
    queue.follow(picture(3.0, 6.0), steps_left=20)
    seen = []
    for place in (0.0, 2.0, 5.0, 9.0):
        status = queue.advance(found(place))
        seen.append((status, pursued(queue), queue.place, queue.at_goal))
    assert seen == [
        ("continue", 3.0, 0, False),
        ("switched", 6.0, 1, False),
        ("switched", 9.0, 2, True),
        ("done", 9.0, 2, True),
    ]


def test_a_subgoal_is_given_up_after_its_steps_but_the_goal_is_not(queue):
    queue.follow(picture(3.0), steps_left=20)
    assert [queue.advance(found(0.0)) for _ in range(4)] == ["continue"] * 3 + ["missed"]
    assert queue.at_goal
    assert {queue.advance(found(0.0)) for _ in range(20)} == {"continue"}


def test_every_subgoal_has_all_its_steps(queue):
    queue.follow(picture(3.0, 6.0), steps_left=20)
    statuses = [queue.advance(found(0.0)) for _ in range(7)]
    assert statuses == ["continue"] * 3 + ["missed"] + ["continue"] * 2 + ["missed"]


@pytest.fixture
def patient() -> SubgoalQueue:
    """Leaves every subgoal its share of the steps and a quarter more."""
    return SubgoalQueue(Line(), picture(9.0), RADII, most_steps=None)


def steps_until_given_up(queue: SubgoalQueue, place: float = 0.0) -> int:
    return next(step for step in range(99) if queue.advance(found(place)) == "missed")


@pytest.mark.parametrize(
    ("subgoals", "steps", "patience"), [((3.0, 6.0), 60, 25), ((3.0,), 60, 38), ((2.5, 3.0, 4.0), 30, 10)]
)
def test_the_fewer_subgoals_the_longer_each_may_take(patient, subgoals, steps, patience):
    patient.follow(picture(*subgoals), steps_left=steps)
    assert steps_until_given_up(patient) == patience


def test_time_that_one_leg_saved_is_left_to_the_next(patient):
    patient.follow(picture(3.0, 7.0), steps_left=60)
    assert [patient.advance(found(0.0)) for _ in range(4)] == ["continue"] * 4
    assert patient.advance(found(3.0)) == "switched"
    # 56 steps are left for two legs, and one of them is taken.
    assert steps_until_given_up(patient, 4.0) == 35 - 1


def test_a_new_plan_shares_the_steps_that_are_left(patient):
    patient.follow(picture(3.0), steps_left=60)
    patient.advance(found(0.0))
    patient.follow(picture(3.0), steps_left=8)
    assert steps_until_given_up(patient) == 5


def test_what_is_reached_already_is_skipped_at_once(queue):
    queue.follow(picture(3.0, 3.5, 7.0), steps_left=20)
    assert queue.advance(found(3.0)) == "switched"
    assert pursued(queue) == 7 and queue.place == 2


def test_the_radius_itself_is_not_within(queue):
    queue.follow(picture(3.0), steps_left=20)
    assert queue.advance(found(1.0)) == "continue"
    assert queue.advance(found(1.25)) == "switched"
    assert queue.advance(found(8.0)) == "continue"
    assert queue.advance(found(8.25)) == "done"


class Table(Line):
    """A goal on a plane: the first two channels of a picture say where."""

    sides = 2


def along(*places: tuple[float, float], goal: tuple[float, float] = (20.0, 30.0)) -> SubgoalQueue:
    """Subgoals at these places of a table; within 4 they may be passed at 2."""
    pictures = torch.tensor([(*place, 0.0) for place in (*places, goal)])[:, :, None, None].expand(
        -1, 3, 2, 2
    )
    radii = Radii(subgoal=2.0, passing=4.0, goal=1.0)
    queue = SubgoalQueue(Table(), pictures[-1:], radii, most_steps=None)
    queue.follow(pictures[:-1], steps_left=60)
    return queue


def status_at(queue: SubgoalQueue, across: float, down: float) -> str:
    return queue.advance(torch.tensor([[across, down]]))


def test_where_the_way_goes_straight_on_a_subgoal_is_passed_early():
    queue = along((20.0, 10.0))
    assert [status_at(queue, 20.0, place) for place in (5.75, 6.25)] == ["continue", "switched"]


def test_where_the_way_turns_back_a_subgoal_has_to_be_reached():
    queue = along((20.0, 10.0), goal=(20.0, 0.0))
    assert [status_at(queue, 20.0, place) for place in (6.25, 7.75, 8.25)] == ["continue"] * 2 + ["switched"]


def test_where_the_way_turns_aside_it_may_be_cut_by_the_radius():
    queue = along((20.0, 10.0), goal=(40.0, 10.0))
    assert [status_at(queue, 20.0, place) for place in (6.25, 7.75, 8.25)] == ["continue"] * 2 + ["switched"]
    slant = along((20.0, 10.0), goal=(30.0, 20.0))
    # From 3.75 above it the way on passes it by 2.2, from 3 above by 1.8.
    assert status_at(slant, 20.0, 6.25) == "continue"
    assert status_at(slant, 20.0, 7.0) == "switched"


def test_the_way_on_ends_at_the_next_subgoal():
    queue = along((20.0, 10.0), (20.0, 6.5), goal=(60.0, 6.5))
    # Straight on would pass the first one, but the second one lies before it.
    assert status_at(queue, 20.0, 6.25) == "continue"


def test_a_goal_that_shows_nothing_leads_nowhere():
    queue = along((20.0, 10.0), goal=(-1.0, -1.0))
    assert [status_at(queue, 20.0, place) for place in (6.25, 8.25)] == ["continue", "switched"]


def test_pictures_that_show_nothing_are_left_out_and_still_count(queue):
    queue.follow(picture(-1.0, 3.0, -1.0), steps_left=20)
    assert pursued(queue) == 3 and queue.place == 1
    assert queue.advance(found(3.0)) == "switched"
    assert pursued(queue) == 9 and queue.place == 3


def test_while_nothing_is_seen_time_goes_on(queue):
    queue.follow(picture(3.0), steps_left=20)
    statuses = [queue.advance(found(torch.nan)) for _ in range(5)]
    assert statuses == ["continue"] * 3 + ["missed", "continue"]


def test_a_new_plan_starts_afresh(queue):
    queue.follow(picture(3.0, 6.0), steps_left=20)
    queue.advance(found(3.0))
    queue.advance(found(0.0))
    queue.follow(picture(1.0, 8.0), steps_left=20)
    assert (pursued(queue), queue.place, queue.at_goal) == (1.0, 0, False)
    assert [queue.advance(found(5.0)) for _ in range(4)] == ["continue"] * 3 + ["missed"]


def test_the_goal_is_kept_even_if_it_shows_nothing():
    queue = SubgoalQueue(Line(), picture(-1.0), RADII, most_steps=3)
    queue.follow(picture(3.0), steps_left=20)
    assert queue.advance(found(3.0)) == "switched"
    assert queue.at_goal and queue.place == 1
    assert queue.advance(found(3.0)) == "continue"
