from dataclasses import replace

import pytest
import torch

from envs.push.scene import Scene, Wall
from planner.episode import run_episode
from planner.goals import make_goal
from planner.low_levels.low_level import LowLevel
from planner.pursuit import Actor, EpisodeConfig, own_seeds
from planner.search.servo import ServoStep
from world_models.frames import to_tensor

TABLE = Scene((Wall((-0.8, 0.6), 1.5),), puck=(0.0, -0.3), goal=(0.1, 0.3), finger=(0.0, -0.6), steps=9)


class Still(LowLevel):
    """Never moves."""

    def acting(self, request):
        yield from ()
        return ServoStep(torch.zeros(1, 2), torch.zeros(1, 3, 2), torch.zeros(1), torch.zeros(1, 3, 2))


class Surprised(Still):
    """... and is surprised as told."""

    can_be_surprised = True

    def __init__(self, surprises):
        self.surprises = iter(surprises)

    def surprise(self, seen):
        return next(self.surprises)


def plans(world, config, low_level=None):
    """At which pictures plans were made, by the number of steps taken before."""
    far = to_tensor(world.begin(replace(TABLE, puck=(0.6, 0.6)))[0])[None]
    seen = []

    def subgoals(now, goal, generator):
        seen.append(now)
        return torch.cat([far, far])

    actor = Actor(low_level or Still(), subgoals, make_goal(world.goal), config)
    outcome = run_episode(world, TABLE, actor, own_seeds(0))
    return [
        place
        for place, (number, _) in enumerate(outcome.pursued)
        if not place or number > outcome.pursued[place - 1][0]
    ]


def test_surprise_calls_for_a_new_plan_and_the_expected_does_not(push):
    config = EpisodeConfig(replan="surprised", surprise=2.0, max_steps_per_subgoal=20)
    surprises = [1.0, 1.9, 2.1, 0.0, 5.0, 0.0, 0.0, 0.0]
    assert plans(push, config, Surprised(surprises)) == [0, 3, 5]


def test_a_missed_subgoal_calls_for_a_new_plan(push):
    config = EpisodeConfig(replan="missed", max_steps_per_subgoal=4)
    assert plans(push, config) == [0, 4, 8]
    assert plans(push, config.model_copy(update={"replan": "never"})) == [0]


def test_only_a_learned_servo_is_surprised(push):
    with pytest.raises(ValueError, match="never, missed or always"):
        plans(push, EpisodeConfig(replan="surprised"))
