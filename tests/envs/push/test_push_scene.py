import mujoco
import numpy as np
import pytest
from pydantic import ValidationError

from envs.push import arm
from envs.push.scene import Scene, Wall, blocked, path_length
from envs.push.tasks import PLACEMENT, TASKS, WALL_TURN, sample_scene
from envs.push.variation.factors import Variation
from envs.push.variation.model import build_model
from envs.rendering import Projection

WALL_ACROSS = Scene((Wall((0.0, 0.0), 0.0),), puck=(0.0, -0.5), goal=(0.0, 0.5), finger=(0.0, -0.8))


def test_tasks_are_as_far_apart_as_the_authors():
    lengths = []
    for seed in range(4000):
        scene = sample_scene(np.random.default_rng(seed))
        lengths.append(path_length(scene, np.array(scene.puck)))
    assert np.mean(lengths) == pytest.approx(1.34, abs=0.02)
    # Within the authors' own spread (0.053), which reaches farther.
    assert 0.03 < np.var(lengths) < 0.053


def test_wall_stands_across_the_table_at_a_random_place():
    scenes = [sample_scene(np.random.default_rng(seed)) for seed in range(300)]
    turns = np.array([(scene.walls[0].angle % np.pi) - np.pi / 2 for scene in scenes])
    assert np.abs(turns).max() <= WALL_TURN
    assert np.abs(turns).max() > 0.8 * WALL_TURN
    assert {scene.walls[0].middle[0] > 0 for scene in scenes} == {True, False}


def test_puck_and_goal_start_on_opposite_sides_and_nothing_touches():
    for seed in range(300):
        scene = sample_scene(np.random.default_rng(seed))
        puck, goal, finger = (np.array(p) for p in (scene.puck, scene.goal, scene.finger))
        assert blocked(scene, puck, goal)
        assert max(np.abs(puck).max(), np.abs(goal).max()) < PLACEMENT
        assert np.linalg.norm(finger - puck) > 0.12 + 0.05


def test_path_goes_round_the_nearer_end_of_the_wall():
    leg = np.hypot(0.52, 0.5)
    assert path_length(WALL_ACROSS, np.array([0.0, -0.5])) == pytest.approx(2 * leg)
    off_centre = path_length(WALL_ACROSS, np.array([0.3, -0.5]))
    assert off_centre == pytest.approx(np.hypot(0.22, 0.5) + leg)


def test_path_is_straight_where_the_wall_is_not_in_the_way():
    assert path_length(WALL_ACROSS, np.array([0.0, 0.1])) == pytest.approx(0.4)
    assert path_length(WALL_ACROSS, np.array([1.6, -0.5])) == pytest.approx(np.hypot(1.6, 1.0))


def test_scene_survives_json():
    scene = sample_scene(np.random.default_rng(5))
    assert Scene.from_json(scene.to_json()) == scene


def test_arm_reaches_every_target_and_kinematics_invert():
    grid = np.stack(np.meshgrid(*[np.linspace(-arm.REACH, arm.REACH, 25)] * 2), axis=-1)
    assert arm.forward(arm.inverse(grid)) == pytest.approx(grid, abs=1e-12)


def test_servo_target_leads_the_finger_by_one_step_at_most():
    joints = arm.inverse(np.array([0.2, 0.1]))
    stuck = arm.inverse(np.array([0.2, 0.6]))
    targets = arm.forward(arm.servo_targets(joints, stuck, np.array([0.0, 1.0])))
    assert targets.shape == (arm.SUBSTEPS, 2)
    assert targets[-1] == pytest.approx([0.2, 0.1 + arm.LEAD + arm.STEP], abs=1e-9)


def test_projection_agrees_with_mujocos_camera_matrices():
    model = build_model(Variation(camera_pitch=3.0))
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    project = Projection(model, "table", 64)
    camera = model.camera("table").id
    rotation, position = data.cam_xmat[camera].reshape(3, 3), data.cam_xpos[camera]
    point = np.array([0.4, -0.3, 0.1])
    local = rotation.T @ (point - position)
    focal = 32 / np.tan(np.deg2rad(model.cam_fovy[camera]) / 2)
    expected = 31.5 + focal * np.array([local[0], -local[1]]) / -local[2]
    assert project(point[:2], point[2]) == pytest.approx(expected)


def test_variations_change_what_they_name():
    plain = build_model()
    varied = build_model(Variation(puck_radius=1.15, friction=2.0, light=0.5, puck_color=(0.0, 1.0, 0.0)))
    assert varied.geom("puck").size[0] == pytest.approx(1.15 * plain.geom("puck").size[0])
    assert varied.dof_damping[:2] == pytest.approx(2 * plain.dof_damping[:2])
    assert varied.dof_frictionloss[:2] == pytest.approx(2 * plain.dof_frictionloss[:2])
    assert varied.light_diffuse == pytest.approx(0.5 * plain.light_diffuse)
    assert varied.geom("puck_visual").rgba[:3] == pytest.approx([0, 1, 0])
    with pytest.raises(ValidationError):
        Variation(puck_radius=5.0)


def test_long_wall_is_one_wall_of_the_length_asked_for(push):
    scene = Scene(
        (Wall((0.0, 0.2), 0.0, half_length=0.65),), puck=(0.55, 0.0), goal=(0.0, 0.6), finger=(0.55, -0.2)
    )
    push.start(scene)
    for _ in range(6):
        push.advance(np.array([0.0, 1.0]))
    # Where the standard wall has ended long since, the puck stops with its radius between it and the wall.
    assert push.positions()["puck"][1] == pytest.approx(0.2 - 0.02 - 0.12, abs=0.02)
    with pytest.raises(ValueError, match="half_length"):
        Wall((0.0, 0.0), 0.0, half_length=0.9)


def test_two_walls_are_passed_in_an_s():
    """Down round the lower end of the first wall, up round the upper end of the second."""
    walls = (Wall((-0.3, 0.5), np.pi / 2, 0.65), Wall((0.3, -0.5), np.pi / 2, 0.65))
    scene = Scene(walls, puck=(-0.7, 0.0), goal=(0.7, 0.0), finger=(0.0, 0.0))
    bends = np.array([[-0.7, 0.0], [-0.3, -0.27], [0.3, 0.27], [0.7, 0.0]])
    expected = np.linalg.norm(np.diff(bends, axis=0), axis=1).sum()
    assert path_length(scene, np.array([-0.7, 0.0])) == pytest.approx(expected)
    with pytest.raises(ValueError, match="walls"):
        Scene((), puck=(0.0, 0.0), goal=(0.1, 0.0), finger=(0.5, 0.0))


@pytest.mark.parametrize("name", list(TASKS))
def test_every_task_blocks_the_straight_way_and_survives_json(name):
    for seed in range(20):
        scene = TASKS[name].draw(np.random.default_rng(seed))
        assert blocked(scene, np.array(scene.puck), np.array(scene.goal))
        assert Scene.from_json(scene.to_json()) == scene
        assert np.isfinite(path_length(scene, np.array(scene.puck)))


def test_harder_tasks_are_harder():
    def mean_length(name):
        scenes = [TASKS[name].draw(np.random.default_rng(seed)) for seed in range(60)]
        return np.mean([path_length(scene, np.array(scene.puck)) for scene in scenes])

    assert mean_length("push-long") > mean_length("push") + 0.3
    assert mean_length("push-two-walls") > mean_length("push") + 0.3
    assert TASKS["push-tight"].steps < TASKS["push"].steps
