"""Following a plan frame by frame: what is ahead, what the low level is told, when plans are made afresh."""

import pytest
import torch

from envs.world import World
from planner.episode import Outcome, episode
from planner.goals import make_goal
from planner.low_levels.low_level import LowLevel
from planner.pursuit import Actor, EpisodeConfig, own_seeds
from planner.queues import PathQueue
from planner.search.along import Along, taken_along
from planner.search.costs import ObjectDistance
from planner.search.hierarchy import HierarchyConfig
from planner.search.rollout import drive
from planner.search.servo import Servo, ServoConfig, ServoStep
from planner.subgoals import path_subgoals, plan_end
from world_models.frames import to_bytes
from world_models.interface import Context, Future
from world_models.segmenter import ObjectGoal


@pytest.fixture
def goal(toy_segmenter):
    return make_goal(ObjectGoal(segmenter=toy_segmenter, body="puck", effector="finger"))


@pytest.fixture
def place_cost(toy_segmenter):
    return ObjectDistance(toy_segmenter, lambda features: features)


def future(*rows):
    """Futures of places ``[x, y]``, one row each."""
    found = torch.tensor(rows, dtype=torch.float32)
    return Future(found, torch.ones(found.shape[:2])), torch.zeros(*found.shape[:2], 2)


def test_the_way_costs_the_mean_over_its_steps(place_cost, toy_picture):
    along = Along(place_cost, 2)
    imagined, decisions = future([[33, 20], [30, 24]], [[30, 20], [30, 20]])
    target = along.target(toy_picture((30.0, 20.0), (30.0, 20.0)))
    assert along(imagined, decisions, target).tolist() == pytest.approx([3.5, 0.0], abs=0.1)


def test_every_step_has_a_target_of_its_own(place_cost, toy_picture):
    along = Along(place_cost, 2)
    imagined, decisions = future([[33, 20], [30, 24]], [[30, 20], [30, 20]])
    target = along.follow(toy_picture((33.0, 20.0), (30.0, 24.0))).expand(2, -1)
    assert along(imagined, decisions, target).tolist() == pytest.approx([0.0, 3.5], abs=0.1)


def test_who_has_arrived_stays(toy_picture):
    path = toy_picture((10.0, 10.0), (20.0, 20.0))
    assert torch.equal(taken_along(path, 4), path[[0, 1, 1, 1]])


def test_a_path_passes_whether_it_is_reached_or_not(goal, toy_picture):
    frames = torch.cat([toy_picture((10.0, 10.0)), torch.zeros(1, 3, 64, 64), toy_picture((30.0, 30.0))])
    end = toy_picture((50.0, 50.0))
    queue = PathQueue(goal, end, goal_radius=1.0)
    queue.follow(frames, steps_left=9)
    assert torch.equal(queue.path, torch.cat([frames[[0, 2]], end])), "a frame that shows nothing is left out"
    away = goal.target(toy_picture((11.0, 50.0)))
    for left in (3, 2, 1, 1):
        assert queue.advance(away) == "continue" and len(queue.path) == left
        queue.go_on()
    assert queue.at_goal and torch.equal(queue.subgoal, end)
    assert queue.advance(goal.target(end)) == "done"


class Walker:
    """A model of the toy world whose decisions are moves in pixels."""

    decision_dim = 2

    def __init__(self, point_mass):
        self.encode = point_mass.encode

    def imagine(self, state, decisions):
        steps = torch.arange(1.0, decisions.shape[1] + 1).expand(decisions.shape[:2])
        return Future(state.position[:, None] + decisions.cumsum(1), steps)


def servo(point_mass, place_cost, objective):
    cem = ServoConfig().cem.model_copy(update={"bound": 3.0, "candidates": 200, "iterations": 8})
    return Servo(Walker(point_mass), place_cost, ServoConfig(horizon=2, objective=objective, cem=cem))


@pytest.mark.parametrize(
    ("objective", "first"), [("track", (2.0, 0.0)), ("mean", (1.5, 1.5)), ("last", None)]
)
def test_tracking_takes_the_bend_that_a_mean_cuts(
    point_mass, place_cost, toy_context, toy_picture, objective, first
):
    """Two pixels to the right, then two down; a mean is pulled to the end of the horizon at once."""
    path = toy_picture((22.0, 20.0), (22.0, 22.0), (60.0, 60.0))
    state = point_mass.encode(toy_context((20.0, 20.0)))
    step = servo(point_mass, place_cost, objective).act(
        state, path[:1], None, [torch.Generator().manual_seed(0)], path
    )
    end = step.decisions.sum(1)
    assert (end - 2).abs().max() < 0.7
    if objective == "track":
        assert (step.action - torch.tensor([first])).abs().max() < 0.7
    elif objective == "mean":
        assert step.action.min() > 1.0


def test_settings_of_before_are_known_again():
    assert "objective" not in ServoConfig().model_dump()
    assert ServoConfig(objective="mean").model_dump(mode="json")["objective"] == "mean"
    assert not {"follow", "replan_every"} & EpisodeConfig().model_dump().keys()
    changed = EpisodeConfig(follow=True, replan_every=2)
    assert EpisodeConfig.model_validate(changed.model_dump()) == changed
    assert ServoConfig.model_validate(ServoConfig(objective="track").model_dump()).objective == "track"


class Recorder(LowLevel):
    """Moves toward the first picture of the path, and notes what it was told."""

    def __init__(self, segmenter):
        self.told, self._segmenter = [], segmenter

    def acting(self, request):
        yield from ()
        self.told.append(request.path)
        action = torch.zeros(1, 2)
        return ServoStep(action, action[:, None], torch.zeros(1), action[:, None])


class StillWorld(World):
    """Nothing moves."""

    id, steps, action_size = "still", 5, 2

    def __init__(self, picture):
        self.picture = picture

    def episodes(self, count, seed=None):
        raise ValueError("none")

    def begin(self, start):
        return self.picture, None

    def measure(self):
        return {}

    def step(self, action):
        return self.picture


def follow(goal, toy_picture, toy_segmenter, **rules):
    start, end = (to_bytes(toy_picture(place)[0]) for place in ((10.0, 10.0), (50.0, 50.0)))
    plans = []

    def path(now, wanted, generator):
        plans.append(len(plans))
        return toy_picture(*((15.0 + 5 * k, 15.0 + 5 * k) for k in range(7)))

    low_level = Recorder(toy_segmenter)
    actor = Actor(low_level, path, goal, EpisodeConfig(follow=True, **rules))
    outcome: Outcome = drive(episode(StillWorld(start), start, end, 5, actor, own_seeds(0)))
    return low_level.told, plans, outcome


def test_the_path_goes_on_by_a_frame_a_step(goal, toy_picture, toy_segmenter):
    told, plans, outcome = follow(goal, toy_picture, toy_segmenter)
    assert [len(path) for path in told] == [8, 7, 6, 5, 4] and plans == [0]
    assert len(outcome.strips[0]) == 6, "five frames of the path, and the goal"
    assert [place for _, place in outcome.pursued] == [0, 1, 1, 2, 3]


def test_plans_are_made_afresh_after_so_many_steps(goal, toy_picture, toy_segmenter):
    told, plans, outcome = follow(goal, toy_picture, toy_segmenter, replan_every=2)
    assert [len(path) for path in told] == [8, 7, 8, 7, 8] and plans == [0, 1, 2]
    assert [plan for plan, _ in outcome.pursued] == [0, 0, 1, 1, 2]


def test_only_plans_of_keyin_can_be_followed(toy_planner):
    with pytest.raises(ValueError, match="only plans of KeyIn"):
        path_subgoals(toy_planner)


def test_a_plan_ends_at_the_keyframe_nearest_the_goal(make_toy_planner, toy_context, toy_picture):
    planner = make_toy_planner()
    context, end = toy_context((20.0, 20.0)), toy_picture((28.0, 28.0))
    plan = planner.plan(context, end, [torch.Generator().manual_seed(0)])
    distances = (plan.features[0] - torch.tensor([28.0, 28.0])).norm(dim=-1)
    assert plan_end(planner, plan, end) == int(distances.argmin())


def test_composed_frames_come_up_to_the_end(tmp_path):
    from planner.loading import load_planner

    planner = load_planner("keyin-push", hierarchy=HierarchyConfig(shortlist=2)).planner
    picture = torch.full((1, 3, 64, 64), 0.4)
    picture[0, :, 20:25, 20:25] = torch.tensor([0.93, 0.14, 0.87])[:, None, None]
    frames = path_subgoals(planner)(picture, picture, torch.Generator().manual_seed(0))
    plan = planner.plan(
        Context(picture[:, None], torch.zeros(1, 0, 0)), picture, [torch.Generator().manual_seed(0)]
    )
    last = int(plan.times[0, plan_end(planner, plan, picture)])
    assert len(frames) == last - 1
    twice = path_subgoals(planner, steps=2)(picture, picture, torch.Generator().manual_seed(0))
    assert torch.equal(twice, frames.repeat_interleave(2, dim=0))
