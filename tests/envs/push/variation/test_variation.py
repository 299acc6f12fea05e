import mujoco
import numpy as np
import pytest
from pydantic import ValidationError

from envs.corruption import Corruption
from envs.push.env import CAMERA, PushEnv
from envs.push.tasks import sample_scene
from envs.push.variation.distractors import Distractor
from envs.push.variation.factors import Variation
from envs.push.variation.model import build_model
from envs.push.variation.texture import draw_grain
from envs.rendering import Projection

SCENE = sample_scene(np.random.default_rng(3))
BOX = Distractor(shape="box", color=(0.85, 0.75, 0.1))


def pictures(variation, steps=3):
    """First picture, goal picture and those after some steps of one scene."""
    env = PushEnv(variation)
    try:
        first, info = env.reset(options={"scene": SCENE})
        later = [env.step(np.array([0.4, -0.2]))[0] for _ in range(steps)]
    finally:
        env.close()
    return [first, info["goal"], *later]


@pytest.fixture(scope="module")
def standard():
    return pictures(None)


def test_the_standard_variation_is_the_plain_world(standard):
    assert all(np.array_equal(a, b) for a, b in zip(pictures(Variation()), standard, strict=True))


def test_changes_are_named_and_combined():
    dark = Variation(light=0.5, corruption=Corruption(jpeg=50))
    noisy = Variation(puck_color=(1.0, 0.0, 0.0), corruption=Corruption(noise=0.03))
    assert dark.changed() == {"light": 0.5, "corruption.jpeg": 50}
    both = dark.combined(noisy)
    assert both == noisy.combined(dark)
    assert both == Variation(
        light=0.5, puck_color=(1.0, 0.0, 0.0), corruption=Corruption(jpeg=50, noise=0.03)
    )
    with pytest.raises(ValueError, match=r"both change corruption\.jpeg, light"):
        dark.combined(Variation(light=0.8, corruption=Corruption(jpeg=90)))
    assert Variation.model_validate_json(both.model_dump_json()) == both


def test_light_has_a_colour_and_a_direction(standard):
    plain, warm = build_model(), build_model(Variation(light_color=(1.2, 1.0, 0.5)))
    assert warm.light_diffuse == pytest.approx(plain.light_diffuse * [1.2, 1.0, 0.5])
    assert warm.vis.headlight.ambient == pytest.approx(plain.vis.headlight.ambient * [1.2, 1.0, 0.5])
    overhead = build_model(Variation(light_from=(0.0, 90.0)))
    assert overhead.light("sun").dir == pytest.approx([0, 0, -1], abs=1e-6)
    aslant = build_model(Variation(light_from=(90.0, 45.0)))
    assert aslant.light("sun").dir == pytest.approx([0, -np.sqrt(0.5), -np.sqrt(0.5)], abs=1e-6)
    # The lower the sun, the less of it falls on a level table.
    low = pictures(Variation(light_from=(30.0, 20.0)))[0]
    assert np.median(low) < 0.9 * np.median(standard[0])


def test_a_shifted_camera_shifts_the_whole_picture_and_the_projection_with_it(standard):
    shifted = pictures(Variation(camera_shift=(2.0, -3.0)))
    for moved, still in zip(shifted, standard, strict=True):
        # But for rounding at edges.
        assert np.abs(moved[:-3, 2:].astype(int) - still[3:, :-2]).mean() < 0.1
    plain, model = build_model(), build_model(Variation(camera_shift=(2.0, -3.0)))
    point, size = np.array([0.3, -0.4]), 128
    project = Projection(model, CAMERA, size)
    assert project(point, 0.0) - Projection(plain, CAMERA, size)(point, 0.0) == pytest.approx([4.0, -6.0])
    assert project.plane(project(point, 0.0), 0.0) == pytest.approx(point)


def test_a_camera_that_turns_to_the_left_sees_things_farther_right():
    plain = Projection(build_model(), CAMERA, 64)
    turned = Projection(build_model(Variation(camera_yaw=3.0)), CAMERA, 64)
    points = np.array([[0.8, 0.0], [0.0, 0.9], [-0.5, -0.6]])
    before, after = plain(points, 0.0) - 31.5, turned(points, 0.0) - 31.5
    focal = 32 / np.tan(np.deg2rad(20.0))
    angle = np.arctan(before[:, 0] / focal) + np.deg2rad(3.0)
    assert after[:, 0] == pytest.approx(focal * np.tan(angle))
    assert after[:, 1] == pytest.approx(before[:, 1], abs=1.5)


def test_projection_of_a_turned_and_pitched_camera_agrees_with_mujoco():
    model = build_model(Variation(camera_pitch=2.0, camera_yaw=-4.0))
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    camera = model.camera(CAMERA).id
    rotation, position = data.cam_xmat[camera].reshape(3, 3), data.cam_xpos[camera]
    local = rotation.T @ (np.array([0.4, -0.3, 0.1]) - position)
    focal = 32 / np.tan(np.deg2rad(model.cam_fovy[camera]) / 2)
    expected = 31.5 + focal * np.array([local[0], -local[1]]) / -local[2]
    assert Projection(model, CAMERA, 64)(np.array([0.4, -0.3]), 0.1) == pytest.approx(expected)


def test_a_grain_makes_the_table_uneven_and_keeps_its_colour(standard):
    assert np.array_equal(draw_grain(), draw_grain())
    grained = pictures(Variation(table_texture=0.2))[0][40:62, 2:30] / 255.0  # little but table
    plain = standard[0][40:62, 2:30] / 255.0
    assert grained.mean((0, 1)) == pytest.approx(plain.mean((0, 1)), rel=0.06)
    assert plain.std((0, 1)).max() < 0.02
    spread = grained.std((0, 1)) / plain.mean((0, 1))
    assert (spread > 0.1).all() and (spread < 0.3).all()


def test_corruption_meets_first_goal_and_later_pictures_alike(standard):
    halved = pictures(Variation(corruption=Corruption(white_balance=(0.5, 1.0, 1.0))))
    for changed, plain in zip(halved, standard, strict=True):
        assert np.array_equal(changed[..., 1:], plain[..., 1:])
        assert np.abs(changed[..., 0] - plain[..., 0] / 2).max() <= 0.5


def test_noise_is_the_same_in_every_run_and_another_in_every_picture(standard):
    noisy = Variation(corruption=Corruption(noise=0.02))
    one, two = pictures(noisy), pictures(noisy)
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))
    noise = [a.astype(int) - b for a, b in zip(one, standard, strict=True)]
    corner = [part[-8:, :20].ravel() for part in noise]
    assert np.abs(np.corrcoef(corner) - np.eye(len(corner))).max() < 0.2


def test_pictures_of_a_state_are_the_same_whenever_they_are_taken():
    env = PushEnv(Variation(corruption=Corruption(noise=0.02), distractors=(BOX, BOX)))
    try:
        env.reset(options={"scene": SCENE})
        env.step(np.array([0.4, -0.2]))
        state, picture = env.get_state(), env.render()
        env.step(np.array([0.4, -0.2]))
        env.set_state(state)
        assert np.array_equal(env.render(), picture)
    finally:
        env.close()


@pytest.mark.parametrize(
    "wrong",
    [
        {"light_from": (0.0, 5.0)},
        {"camera_shift": (9.0, 0.0)},
        {"table_texture": 0.5},
        {"distractors": (BOX,) * 5},
        {"distractors": ({"shape": "cat", "color": (1.0, 1.0, 1.0)},)},
    ],
)
def test_impossible_worlds_are_refused(wrong):
    with pytest.raises(ValidationError):
        Variation(**wrong)
