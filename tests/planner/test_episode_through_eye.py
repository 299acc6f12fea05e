"""What the closed loop hands on of a changed world: pictures as in training."""

import numpy as np
import pytest
import torch

from envs.push.episodes import draw_episodes
from envs.push.variation.factors import Variation
from envs.push.world import PushWorld
from planner.episode import run_episode
from planner.goals import make_goal
from planner.low_levels.low_level import LowLevel, true_servo
from planner.pursuit import Actor, own_seeds
from planner.search.servo import ServoStep
from world_models.eye import STANDARD, Eye, EyeStage, reference_of
from world_models.frames import to_tensor
from world_models.segmenter import PUCK_GOAL

SCENES = draw_episodes(3, 30).starts
DARK = Variation(light=0.6)


@pytest.fixture(scope="module")
def eye():
    world = PushWorld()
    pictures = np.concatenate([np.stack(world.begin(scene)) for scene in SCENES])
    world.close()
    return Eye(reference_of(pictures, EyeStage(field_of_view=40.0), PUCK_GOAL))


class Noting(LowLevel):
    """Never moves and notes what it sees."""

    def __init__(self):
        self.seen, self.subgoals = [], []

    def acting(self, request):
        yield from ()
        self.seen.append(request.seen.frames[0, -1])
        self.subgoals.append(request.subgoal[0])
        return ServoStep(torch.zeros(1, 2), torch.zeros(1, 3, 2), torch.zeros(1), torch.zeros(1, 3, 2))


def test_low_level_and_goal_are_shown_pictures_as_in_training(eye):
    usual, dark = PushWorld(), PushWorld(variation=DARK)
    for_usual, for_dark, blind = Noting(), Noting(), Noting()
    goal = make_goal(PUCK_GOAL)
    for world, noting, through in ((usual, for_usual, eye), (dark, for_dark, eye), (dark, blind, Eye())):
        actor = Actor(noting, goal=goal, eye=through)
        outcome = run_episode(world, SCENES[0], actor, own_seeds(0), steps=3)
        corrected = world is dark and through is eye
        assert (outcome.calibration == STANDARD) != corrected
        assert np.array_equal(outcome.frames[0], world.begin(SCENES[0])[0])  # kept as it is
        assert outcome.stop == ("unseen" if noting is blind else "steps")
    for expected, found in zip(
        [*for_usual.seen, *for_usual.subgoals], [*for_dark.seen, *for_dark.subgoals], strict=True
    ):
        assert (expected - found).abs().mean() < 0.005
    picture = dark.begin(SCENES[0])[0]
    assert (for_usual.seen[0] - to_tensor(picture)).abs().mean() > 0.1


def test_true_dynamics_measure_in_the_view_of_the_training_data(eye):
    turned = PushWorld(variation=Variation(camera_pitch=3.0))
    actor = Actor(true_servo(turned), goal=make_goal(PUCK_GOAL), eye=eye)
    scene = next(one for one in SCENES if one.puck[0] * one.goal[0] > 0)
    world = PushWorld()
    expected = world.simulator(1).imagine(_observed(world, scene), torch.zeros(1, 1, 2)).features
    found = turned.simulator(1).imagine(_observed(turned, scene), torch.zeros(1, 1, 2)).features
    assert torch.equal(expected, found)
    outcome = run_episode(turned, scene, actor, own_seeds(0), steps=2)
    assert outcome.calibration.pitch_degrees == pytest.approx(3.0, abs=0.4)


def _observed(world, scene):
    world.begin(scene)
    return world.simulator(1).observe()
