"""Somebody moves the puck in mid-episode: the world does it, and the servo on true dynamics notices."""

from dataclasses import replace

import numpy as np
import pytest

from envs.push.episodes import draw_episodes
from envs.push.scene import PUCK_RADIUS, Scene, Wall, is_free, path_length
from envs.push.world import PushWorld
from planner.episode import run_episode
from planner.goals import make_goal
from planner.low_levels.low_level import RandomActions, clipped_normal, true_servo
from planner.pursuit import Actor, EpisodeConfig, own_seeds
from planner.search.cem import CemConfig
from planner.search.servo import ServoConfig
from world_models.frames import to_tensor

SMALL = ServoConfig(horizon=4, cem=CemConfig(candidates=20, iterations=2, elite_fraction=0.1, bound=1.0))
OPEN_TABLE = Scene((Wall((-0.8, 0.6), 1.5),), puck=(0.0, -0.3), goal=(0.1, 0.6), finger=(0.0, -0.6))


@pytest.fixture
def disturbed():
    world = PushWorld(disturbance=0.2)
    yield world
    world.close()


def path_of_puck(world, scene, seed=0):
    actor = Actor(RandomActions(2, clipped_normal), goal=make_goal(world.goal))
    outcome = run_episode(world, scene, actor, own_seeds(seed))
    return np.array([measure["puck"] for measure in outcome.measures])


def test_the_puck_is_moved_once_after_a_third_of_the_steps(disturbed):
    for index, scene in enumerate(draw_episodes(5, 3).starts):
        moved = np.linalg.norm(np.diff(path_of_puck(disturbed, scene, index), axis=0), axis=1)
        assert moved[19] == pytest.approx(0.2, abs=0.1)  # the action of that step moves it, too
        assert np.delete(moved, 19).max() < 0.11


def test_it_is_moved_to_where_the_way_to_the_goal_is_longest():
    scene = Scene((Wall((0.0, 0.0), 0.0),), puck=(0.0, 0.2), goal=(0.0, 0.6), finger=(-0.5, -0.5))
    with_hand = PushWorld(disturbance=0.45)
    try:
        path = path_of_puck(with_hand, scene)
    finally:
        with_hand.close()
    assert path[19][1] > 0 > path[20][1]  # over the wall
    assert path_length(scene, path[20]) > path_length(scene, path[19]) + 0.5


def test_a_free_place_touches_nothing():
    scene = Scene((Wall((0.0, 0.0), 0.0),), puck=(0.0, -0.5), goal=(0.0, 0.5), finger=(0.0, -0.9))
    finger = np.array([0.0, -0.9])
    for place, free in (
        ((0.0, 0.5), True),
        ((0.3, 0.1), False),  # touches the wall's side
        ((0.45, 0.0), False),  # ... and its end
        ((0.4 + PUCK_RADIUS + 0.03, 0.0), True),
        ((1.1, 0.5), False),  # beyond the rim
        ((0.1, -0.85), False),  # at the finger
    ):
        assert is_free(scene, np.array(place), finger) is free, place


def test_true_dynamics_are_surprised_by_a_hand_and_not_by_their_own_doing(disturbed, push):
    surprises = {}
    for name, world in (("calm", push), ("disturbed", disturbed)):
        servo, found = true_servo(world, SMALL), []
        surprise = servo.surprise
        servo.surprise = lambda seen, ask=surprise, found=found: found.append(ask(seen)) or found[-1]
        config = EpisodeConfig(replan="surprised", max_steps_per_subgoal=60, subgoal_radius=0.1)
        far = to_tensor(world.begin(replace(OPEN_TABLE, puck=(0.9, 0.4)))[0])[None]

        def subgoals(now, goal, generator, far=far):
            return far

        outcome = run_episode(
            world, OPEN_TABLE, Actor(servo, subgoals, make_goal(world.goal), config), own_seeds(0), steps=26
        )
        surprises[name] = found
        if name == "disturbed":
            assert len(outcome.plans) == 2
            assert outcome.pursued[19][0] == 0 and outcome.pursued[20][0] == 1
    assert max(surprises["calm"]) < 3
    assert surprises["disturbed"][19] > 4
