"""Pairs of looks: the same moment twice, and the same data for the same seed."""

import numpy as np

from envs.looks import PAIRS
from envs.push.data_sets import PUSH_LOOKS, PushLooks
from envs.push.variation.factors import STANDARD
from envs.push.variation.looks import draw_looks, draw_variation
from envs.push.variation.model import CAMERA, build_model
from world_models.frames import to_tensor
from world_models.segmenter import PUCK_GOAL


def test_both_halves_show_the_same_moments():
    looks = draw_looks(seed=5, first=0, count=3)
    usual, other = looks.frames[:, :PAIRS], looks.frames[:, PAIRS:]
    assert np.array_equal(looks.states[:, :PAIRS], looks.states[:, PAIRS:])
    found = PUCK_GOAL.segmenter.blob(to_tensor(usual.reshape(-1, 64, 64, 3)))
    pixels = looks.states[:, :PAIRS, 4:6].reshape(-1, 2)
    seen = found.mass.numpy() >= 20  # the arm hides no part of it
    assert seen.mean() > 0.6
    assert np.linalg.norm(found.centre.numpy() - pixels, axis=1)[seen].max() < 1.0
    assert all((one != two).any() for one, two in zip(usual, other, strict=True))


def test_a_sequence_depends_on_seed_and_index_alone(tmp_path):
    looks = draw_looks(seed=5, first=1, count=1)
    assert np.array_equal(looks.frames, draw_looks(seed=5, first=0, count=2).frames[1:])
    assert not np.array_equal(looks.frames, draw_looks(seed=6, first=1, count=1).frames)
    recorded, attributes = PUSH_LOOKS.collect(PushLooks(out=tmp_path))[0].draw(5, 1, 1)
    assert np.array_equal(recorded.frames, looks.frames)
    assert attributes == {"observation": 4, "bodies": "puck,finger", "field_of_view": 40.0}
    assert build_model().camera(CAMERA).fovy[0] == attributes["field_of_view"]


def test_every_factor_is_usual_now_and_then_and_changed_at_other_times():
    drawn = [draw_variation(np.random.default_rng(seed)).changed() for seed in range(80)]
    factors = {name for changed in drawn for name in changed}
    expected = {"puck_color", "wall_color", "table_color", "table_texture", "light", "light_from"}
    expected |= {"puck_radius", "camera_pitch", "distractors"}
    expected |= {f"corruption.{name}" for name in ("white_balance", "gamma", "blur", "noise", "jpeg")}
    assert factors == expected
    assert all(any(name not in changed for changed in drawn) for name in factors)
    assert STANDARD.changed() == {}
