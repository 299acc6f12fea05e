import io

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from envs.corruption import Corruption

RNG = np.random.default_rng(0)
PICTURE = RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)
GREY = np.full((64, 64, 3), 128, dtype=np.uint8)


def test_the_default_leaves_pictures_alone():
    assert Corruption().apply(PICTURE, [1]) is PICTURE


def test_noise_has_the_deviation_asked_for_and_follows_from_the_seed():
    noisy = Corruption(noise=0.03)
    one, again, other = (noisy.apply(GREY, seed) for seed in ([5, 1], [5, 1], [5, 2]))
    assert np.array_equal(one, again) and not np.array_equal(one, other)
    assert (one / 255.0).std() == pytest.approx(0.03, rel=0.05)
    assert one.mean() == pytest.approx(128, abs=0.3)


def test_blur_spreads_a_point_by_its_deviation_and_keeps_flat_pictures():
    point = np.zeros((33, 33, 3), dtype=np.uint8)
    point[16, 16] = 255
    spread = Corruption(blur=1.0).apply(point, []).astype(float)
    assert spread.sum() == pytest.approx(3 * 255, rel=0.05)
    offsets = np.arange(33) - 16
    weights = spread[..., 0] / spread[..., 0].sum()
    assert (weights.sum(0) * offsets**2).sum() == pytest.approx(1.0, abs=0.1)
    assert (weights.sum(1) * offsets**2).sum() == pytest.approx(1.0, abs=0.1)
    assert np.array_equal(Corruption(blur=2.0).apply(GREY, []), GREY)


def test_white_balance_and_gamma_act_on_values():
    balanced = Corruption(white_balance=(0.5, 1.0, 2.0)).apply(GREY, [])
    assert balanced[0, 0].tolist() == [64, 128, 255]
    darker = Corruption(gamma=1.4).apply(GREY, [])
    assert darker[0, 0, 0] == round(255 * (128 / 255) ** 1.4)


def test_jpeg_is_pillows_and_lossier_at_lower_quality():
    content = io.BytesIO()
    Image.fromarray(PICTURE).save(content, "JPEG", quality=50)
    expected = np.asarray(Image.open(content))
    assert np.array_equal(Corruption(jpeg=50).apply(PICTURE, []), expected)

    def error(quality):
        return np.abs(Corruption(jpeg=quality).apply(PICTURE, []).astype(int) - PICTURE).mean()

    assert error(10) > error(50) > error(90)


@pytest.mark.parametrize(
    "wrong", [{"noise": -0.1}, {"blur": 9.0}, {"gamma": 0.0}, {"jpeg": 100}, {"white_balance": (0, 1, 1)}]
)
def test_impossible_corruptions_are_refused(wrong):
    with pytest.raises(ValidationError):
        Corruption(**wrong)
