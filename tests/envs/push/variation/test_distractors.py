import mujoco
import numpy as np
import pytest

from envs.push.arm import SUBSTEPS
from envs.push.env import PushEnv
from envs.push.scene import place
from envs.push.tasks import TASKS, sample_scene
from envs.push.variation.distractors import (
    FROM_EACH_OTHER,
    FROM_PUCK,
    FROM_WALL,
    SHAPES,
    Distractor,
    draw_courses,
    place_distractors,
)
from envs.push.variation.factors import Variation
from envs.push.variation.model import build_model

YELLOW = (0.85, 0.75, 0.10)
STILL, MOVING = (
    Distractor(shape="box", color=YELLOW),
    Distractor(shape="disc", color=(0.1, 0.7, 0.2), moves=True),
)


def to_wall(places, wall):
    offset = places - wall.middle
    along = np.clip(offset @ wall.along, -wall.half_length, wall.half_length)
    return np.linalg.norm(offset - along[:, None] * wall.along, axis=1)


@pytest.mark.parametrize("seed", range(8))
def test_they_keep_away_from_pucks_walls_and_each_other_all_the_time(seed):
    scene = sample_scene(np.random.default_rng(seed))
    still, moving = draw_courses((STILL, MOVING), scene)
    steps = np.arange(scene.steps + 2)
    for course in (still, moving):
        places = course.at(steps)
        assert np.abs(places).max() <= 1.0
        assert all(np.linalg.norm(places - end, axis=1).min() >= FROM_PUCK for end in scene.errands[0])
        assert to_wall(places, scene.walls[0]).min() >= FROM_WALL
    assert np.linalg.norm(still.at(steps) - moving.at(steps), axis=1).min() >= FROM_EACH_OTHER
    lengths = np.linalg.norm(np.diff(moving.at(steps), axis=0), axis=1)
    assert lengths.sum() > 0.3 and lengths.max() < 0.07, "it moves, and smoothly"
    assert np.ptp(still.at(steps), axis=0).tolist() == [0, 0]


def test_courses_follow_from_the_scene():
    scene, other = (sample_scene(np.random.default_rng(seed)) for seed in (0, 1))
    one, again, elsewhere = (draw_courses((STILL,), which)[0].middle for which in (scene, scene, other))
    assert np.array_equal(one, again) and not np.array_equal(one, elsewhere)
    assert np.array_equal(draw_courses((STILL, MOVING), scene)[0].middle, one)


@pytest.mark.parametrize("task", list(TASKS))
def test_there_is_a_place_for_the_most_of_them_in_every_task(task):
    scene = TASKS[task].draw(np.random.default_rng(0))
    courses = draw_courses((STILL, MOVING, STILL, MOVING), scene)
    assert len(courses) == 4 and all(np.abs(course.middle).max() <= 1 for course in courses)


def test_the_environment_shows_them_where_their_courses_are():
    scene = sample_scene(np.random.default_rng(2))
    env = PushEnv(Variation(distractors=(STILL, MOVING)))
    try:
        env.reset(options={"scene": scene})
        for _ in range(7):
            env.step(np.zeros(2))
        expected = [course.at(np.array([7]))[0] for course in draw_courses((STILL, MOVING), scene)]
        seen = [env.data.body(f"distractor_{number}").xpos[:2] for number in (0, 1)]
        assert np.array(seen) == pytest.approx(np.array(expected))
    finally:
        env.close()


def test_goal_pictures_show_where_things_are_after_the_episode():
    scene, variation = sample_scene(np.random.default_rng(2)), Variation(distractors=(MOVING,))
    env = PushEnv(variation)
    try:
        _, info = env.reset(options={"scene": scene})
        place(env.model, env.data, scene, [scene.goal])
        env.data.time = (scene.steps + 1) * SUBSTEPS * env.model.opt.timestep
        assert np.array_equal(env.render(), info["goal"])
        env.data.time = 0.0
        assert not np.array_equal(env.render(), info["goal"])
    finally:
        env.close()


def test_nothing_touches_them():
    """Also where the puck is pushed right over them, it goes as if they were not there."""
    scene = sample_scene(np.random.default_rng(2))
    paths = []
    for variation in (Variation(), Variation(distractors=(STILL,) * 3)):
        env = PushEnv(variation)
        try:
            env.start(scene)
            for index in range(env.model.nmocap - 4):
                env.data.mocap_pos[4 + index] = [*scene.puck, 0.0]
            path = []
            for step in range(20):
                now = env.positions()
                env.advance(np.clip(8 * (now["puck"] - now["finger"]), -1, 1))
                path.append(env.positions()["puck"])
                assert step or not env.data.ncon
            paths.append(np.array(path))
        finally:
            env.close()
    assert np.linalg.norm(paths[0][-1] - paths[0][0]) > 0.1
    assert np.array_equal(paths[0], paths[1])


def test_they_lie_lower_than_puck_and_walls_and_are_no_wider_than_the_puck():
    model = build_model(Variation(distractors=tuple(Distractor(shape=s, color=YELLOW) for s in SHAPES)))
    data = mujoco.MjData(model)
    scene = sample_scene(np.random.default_rng(0))
    place(model, data, scene)
    place_distractors(model, data, draw_courses((STILL,) * len(SHAPES), scene), 0)
    mujoco.mj_forward(model, data)

    def top(name):
        half = model.geom(name).size[1 if model.geom(name).type == mujoco.mjtGeom.mjGEOM_CYLINDER else 2]
        return float(data.geom(name).xpos[2] + half)

    for number in range(len(SHAPES)):
        assert top("table") < top(f"distractor_{number}") < min(top("puck_visual"), top("wall"))
        assert np.hypot(*model.geom(f"distractor_{number}").size[:2]) < 0.13
