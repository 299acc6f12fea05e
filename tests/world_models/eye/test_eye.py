"""An eye leaves standard pictures alone, and finds and undoes other light, views and colours."""

from dataclasses import replace

import numpy as np
import pytest

from envs.push.episodes import draw_episodes
from envs.push.variation.factors import Variation
from envs.push.world import PushWorld
from envs.worlds import make_world
from world_models.eye import (
    DOUBTFUL,
    STANDARD,
    STRANGE,
    Calibration,
    Eye,
    EyeStage,
    Reference,
    reference_of,
)
from world_models.frames import to_tensor
from world_models.segmenter import PUCK_GOAL, TWO_PUCKS_GOAL

SCENES = draw_episodes(11, 12).starts
PUSH = EyeStage(field_of_view=40.0)


def pairs(variation, scenes=SCENES):
    world = PushWorld(variation=variation)
    found = [np.stack(world.begin(scene)) for scene in scenes]
    world.close()
    return found


@pytest.fixture(scope="module")
def standard():
    return pairs(Variation())


@pytest.fixture(scope="module")
def eye():
    pictures = np.concatenate(pairs(Variation(), draw_episodes(3, 40).starts))
    return Eye(reference_of(pictures, PUSH, PUCK_GOAL))


def places(pictures):
    """Where the puck is seen, and whether as exactly one whole object."""
    shown = to_tensor(pictures)
    return PUCK_GOAL.segmenter.blob(shown).centre.numpy(), PUCK_GOAL.segmenter.whole(shown).numpy()


def test_pictures_as_in_training_pass_unchanged(eye, standard):
    for pair in standard:
        look = eye.calibrate(*pair)
        assert look == STANDARD
        assert eye.see(pair, look) is pair


@pytest.mark.parametrize(
    "changed",
    [
        {"light": 0.5},
        {"light": 0.8},
        {"light": 1.2},
        {"light": 1.5},
        {"table_color": (0.35, 0.35, 0.35)},
        {"puck_color": (0.90, 0.10, 0.10)},
        {"puck_color": (0.15, 0.75, 0.20)},
        {"puck_color": (0.85, 0.75, 0.10)},
        {"camera_pitch": 3.0},
        {"camera_pitch": -3.0},
        {"camera_pitch": 2.0, "light": 0.7, "puck_color": (0.15, 0.75, 0.20)},
    ],
)
def test_the_puck_is_seen_where_it_is_in_a_changed_world(eye, standard, changed):
    whole, errors = list[bool](), list[float]()
    for pair, usual in zip(pairs(Variation(**changed)), standard, strict=True):
        look = eye.calibrate(*pair)
        assert look != STANDARD
        seen, is_whole = places(eye.see(pair, look))
        errors += np.linalg.norm(seen - places(usual)[0], axis=1).tolist()
        whole += is_whole.tolist()
    # The arm hides parts of some pucks; what is left of them may look otherwise.
    assert all(whole) and np.mean(errors) < 0.4 and max(errors) < 2.0


@pytest.mark.parametrize("pitch", [-3.0, -1.5, 1.5, 3.0])
def test_the_pitch_of_the_camera_is_measured(eye, pitch):
    for pair in pairs(Variation(camera_pitch=pitch), SCENES[:4]):
        look = eye.calibrate(*pair)
        assert look.pitch_degrees == pytest.approx(pitch, abs=0.35)
        assert abs(look.yaw_degrees) < 0.1


def test_light_is_undone_but_for_what_it_has_blown_out(eye, standard):
    for light, most in ((0.6, 1.0), (1.4, 2.0)):
        for pair, usual in zip(pairs(Variation(light=light), SCENES[:4]), standard, strict=False):
            tone = eye.calibrate(*pair).tone
            assert tone is not None
            assert tone.exponent == pytest.approx((1.0,) * 3, abs=0.15 if light < 1 else 1.2)
            corrected = eye.see(pair, Calibration(tone=tone)).astype(float)
            assert np.abs(corrected - usual).mean() < most < np.abs(pair.astype(float) - usual).mean()


def test_an_arm_that_moved_is_not_taken_for_the_puck(eye):
    world = PushWorld(variation=Variation(puck_color=(0.90, 0.10, 0.10)))
    for scene in SCENES[:6]:
        first, goal = world.begin(scene)
        goal_reached, _ = world.begin(replace(scene, puck=scene.goal, finger=(0.9, 0.9)))
        usual, other = eye.calibrate(first, goal), eye.calibrate(first, goal_reached)
        assert other.object_colour == pytest.approx(usual.object_colour, abs=12)
    world.close()


def test_a_puck_that_stays_where_it_is_leaves_its_colour_unknown(eye):
    first = pairs(Variation(puck_color=(0.90, 0.10, 0.10)), SCENES[:1])[0][0]
    assert eye.calibrate(first, first).object_colour is None


def test_colours_of_several_objects_are_left_alone(eye):
    red = pairs(Variation(puck_color=(0.90, 0.10, 0.10)), SCENES[:1])[0]
    assert eye.calibrate(*red).object_colour is not None
    two = reference_of(red, PUSH, TWO_PUCKS_GOAL)
    assert Eye(replace(eye.reference, object_colour=two.object_colour)).calibrate(*red).object_colour is None


def test_without_a_goal_picture_light_and_view_are_found(eye):
    dark = pairs(Variation(light=0.6, camera_pitch=2.0), SCENES[:1])[0]
    look = eye.calibrate(dark[0])
    assert look.tone is not None and look.pitch_degrees == pytest.approx(2.0, abs=0.4)
    assert look.object_colour is None


def test_an_eye_that_knows_nothing_changes_nothing(eye):
    dark = pairs(Variation(light=0.5), SCENES[:1])[0]
    assert Eye().calibrate(*dark) == STANDARD and Eye().digest is None
    look = eye.calibrate(*dark)
    assert Eye().see(dark, look) is dark
    assert eye.calibrate(dark[0, ::2, ::2], dark[1, ::2, ::2]) == STANDARD


def test_calibrations_can_be_sent(eye):
    for changed in ({"light": 1.3, "camera_pitch": -2.0}, {"puck_color": (0.15, 0.75, 0.20)}):
        pair = pairs(Variation(**changed), SCENES[:1])[0]
        look = eye.calibrate(*pair)
        sent = Calibration.model_validate_json(look.model_dump_json())
        assert sent == look
        assert np.array_equal(eye.see(pair, sent), eye.see(pair, look))


def test_one_picture_is_seen_as_among_others(eye):
    dark = pairs(Variation(light=0.6, camera_pitch=2.0, puck_color=(0.15, 0.75, 0.20)), SCENES[:1])[0]
    look = eye.calibrate(*dark)
    assert np.array_equal(eye.see(dark[0], look), eye.see(dark, look)[0])


def test_references_can_be_stored(eye):
    read = Reference.from_tensors(eye.reference.to_tensors())
    assert Eye(read).digest == eye.digest
    assert Eye(replace(read, focal=50.0)).digest != eye.digest
    with pytest.raises(ValueError, match="a reference has agreement, background"):
        Reference.from_tensors({"background": eye.reference.to_tensors()["background"]})
    wrong = eye.reference.to_tensors() | {"typical": eye.reference.to_tensors()["background"]}
    with pytest.raises(ValueError, match=r"typical must be torch\.float32"):
        Reference.from_tensors(wrong)


def test_pictures_of_other_worlds_are_strange_and_of_changed_ones_are_not(eye):
    changed = ({}, {"light": 0.5}, {"camera_pitch": 3.0}, {"wall_color": (0.85, 0.45, 0.10)})
    for variation in changed:
        for pair in pairs(Variation(**variation), SCENES[:3]):
            look = eye.calibrate(*pair)
            assert max(eye.strangeness(picture, look) for picture in pair) < DOUBTFUL
    rng = np.random.default_rng(0)
    cartpole = make_world("dmc/cartpole-balance")
    others = [
        cartpole.begin(cartpole.episodes(1).starts[0])[0],
        rng.integers(0, 256, (64, 64, 3), dtype=np.uint8),
        rng.integers(0, 256, (8, 8, 3), dtype=np.uint8).repeat(8, axis=0).repeat(8, axis=1),
        np.full((64, 64, 3), 90, np.uint8),
    ]
    cartpole.close()
    for picture in others:
        assert eye.strangeness(picture, eye.calibrate(picture)) > STRANGE
    assert Eye().strangeness(others[1], STANDARD) == 0.0
    assert eye.strangeness(others[1][::2, ::2], STANDARD) == 0.0
