from dataclasses import replace

import numpy as np
import pytest

from envs.push.episodes import load_manifest
from envs.push.scene import Scene, Wall, path_length
from envs.push.variation.factors import Variation
from envs.push.world import PushWorld
from envs.rendering import Projection

ACROSS = Scene((Wall((0.0, 0.1), 0.0),), puck=(0.0, -0.3), goal=(0.1, 0.5), finger=(0.0, 0.0))


@pytest.fixture(scope="module")
def world():
    made = PushWorld()
    yield made
    made.close()


def pixels(world, *places):
    """Where places of the table are in pictures."""
    project = Projection(world.env.model, "table", 64)
    return [tuple(map(float, place)) for place in project(np.array(places), 0.0)]


def test_measures_are_the_way_to_the_goal_and_the_place_of_the_puck(world):
    world.begin(ACROSS)
    world.step(np.array([0.3, -0.2], np.float32))
    puck = world.env.positions()["puck"]
    assert world.measure() == {"distance": path_length(ACROSS, puck), "puck": tuple(puck)}


def test_records_say_where_the_puck_was_and_is(world):
    measures = [{"distance": way, "puck": (way, 0.0)} for way in (1.5, 1.0, 0.25)]
    assert world.record(ACROSS, measures, []) == {
        "initial_distance": 1.5,
        "distance": 0.25,
        "final_puck": (0.25, 0.0),
        "goal": (0.1, 0.5),
        "plan_crosses_wall": False,
    }


def test_plans_that_cut_through_the_wall_are_told(world):
    measures = [{"distance": 1.0, "puck": (0.0, -0.3)}]
    round_it = pixels(world, (0.9, -0.3), (0.9, 0.5))
    unseen = (float("nan"), float("nan"))
    for plans, crosses in [
        ([[]], True),  # straight to the goal
        ([round_it], False),
        ([[unseen, *round_it]], False),  # what shows no puck is left out
        ([[unseen]], True),
        ([round_it, []], False),  # the first plan counts
    ]:
        assert world.record(ACROSS, measures, plans)["plan_crosses_wall"] is crosses


def test_two_pucks_are_measured_recorded_and_planned_for_both():
    world = PushWorld("push-two-pucks")
    scene = world.episodes(1).starts[0]
    world.begin(scene)
    measured = world.measure()
    assert measured["puck"] == pytest.approx(scene.puck)
    assert measured["second_puck"] == pytest.approx(scene.second[0])
    assert measured["distance"] == pytest.approx(path_length(scene, np.array(scene.puck)))
    start, gap = np.array(scene.errands)[:, 0]
    project = Projection(world.env.model, "table", 64)
    away, goal = scene.second[1], scene.goal
    by_the_gap = [
        tuple(project(np.array([start, away]), 0.0).ravel()),
        tuple(project(np.array([gap, away]), 0.0).ravel()),
    ]
    record = world.record(scene, [measured], [by_the_gap])
    assert not record["plan_crosses_wall"] and record["second_goal"] == away and record["goal"] == goal
    assert record["final_second_puck"] == measured["second_puck"]
    through = tuple(project(np.array([start, 2 * np.array(away) - gap]), 0.0).ravel())
    assert world.record(scene, [measured], [[through]])["plan_crosses_wall"]
    world.close()


def test_an_episode_is_as_long_as_its_scene_says(world):
    assert world.length(replace(ACROSS, steps=7)) == 7


def test_frozen_scenes_are_those_of_the_task():
    tight = PushWorld("push-tight")
    frozen = tight.episodes(1)
    tight.close()
    assert frozen.name == "push-tight-200"
    assert frozen.fingerprint == load_manifest("push-tight-200").fingerprint


def test_the_world_varies_as_asked():
    plain, green = PushWorld(), PushWorld(variation=Variation(puck_color=(0.1, 0.7, 0.2)))
    pictures = [made.begin(ACROSS)[0] for made in (plain, green)]
    plain.close()
    green.close()
    assert not np.array_equal(*pictures)
