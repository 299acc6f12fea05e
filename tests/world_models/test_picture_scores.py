"""SSIM, PSNR and diversity against their definitions."""

import math

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view

from world_models.picture_scores import SSIMTo, psnr, ssim
from world_models.struct_vrnn.config import StructVRNNConfig
from world_models.struct_vrnn.evaluation.picture_scores import mean_pairwise_distance, picture_scores
from world_models.struct_vrnn.model import StructVRNN


def pictures(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def direct_ssim(one, other):
    """Every window of every channel by itself, as Wang et al. write it."""
    bell = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    weights = np.outer(bell, bell) / bell.sum() ** 2
    found = []
    for a, b in zip(one.numpy().astype(float), other.numpy().astype(float), strict=True):
        windows = zip(*(sliding_window_view(x, (11, 11)).reshape(-1, 11, 11) for x in (a, b)), strict=True)
        for x, y in windows:
            mx, my = (weights * x).sum(), (weights * y).sum()
            vx, vy = (weights * (x - mx) ** 2).sum(), (weights * (y - my) ** 2).sum()
            both = (weights * (x - mx) * (y - my)).sum()
            alike = (2 * mx * my + 1e-4) * (2 * both + 9e-4)
            found.append(alike / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4)))
    return np.mean(found)


@pytest.mark.parametrize("blend", [0.0, 0.3, 0.9])
def test_ssim_is_the_formula(blend):
    truth, noise = pictures(3, 20, 16), pictures(3, 20, 16, seed=1)
    picture = blend * truth + (1 - blend) * noise
    assert float(ssim(picture, truth)) == pytest.approx(direct_ssim(picture, truth), abs=1e-4)


def test_equal_pictures_are_most_alike():
    truth = pictures(2, 3, 16, 16)
    assert torch.allclose(ssim(truth, truth), torch.ones(2), atol=1e-5)
    assert psnr(truth, truth).tolist() == [100.0, 100.0]
    flat = torch.full((1, 16, 16), 0.5)
    assert float(ssim(flat, flat)) == pytest.approx(1.0)


def test_the_truth_is_broadcast_and_rows_are_independent():
    some, truth = pictures(4, 2, 3, 12, 12), pictures(2, 3, 12, 12, seed=1)
    together = ssim(some, truth)
    assert together.shape == (4, 2)
    assert float(together[3, 1]) == pytest.approx(float(ssim(some[3, 1], truth[1])), abs=1e-6)


@pytest.mark.parametrize("size", [(12, 40), (28, 11), (64, 64)])
def test_one_truth_for_many_pictures_gives_the_same(size):
    some, truth = pictures(5, 2, *size), pictures(2, *size, seed=1)
    assert torch.allclose(SSIMTo(truth)(some), ssim(some, truth), atol=1e-5)
    assert float(SSIMTo(truth)(truth[None])) == pytest.approx(1.0, abs=1e-5)


def test_bfloat16_elsewhere_does_not_change_the_score():
    """Bright plains: their variance is far smaller than bfloat16 tells squared means apart."""
    rng = torch.Generator().manual_seed(0)
    truth = torch.full((1, 32, 32), 0.98)
    truth[:, :, 20:] = torch.rand(1, 32, 12, generator=rng)
    pictures = (truth + 0.02 * torch.randn(3, 1, 32, 32, generator=rng)).clamp(0.0, 1.0)
    expected = ssim(pictures, truth)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(ssim(pictures, truth), expected)
        torch.testing.assert_close(SSIMTo(truth)(pictures), expected)


def test_psnr_is_logarithmic():
    truth = torch.full((3, 12, 12), 0.5)
    assert float(psnr(truth + 0.1, truth)) == pytest.approx(20.0, abs=1e-4)
    assert float(psnr(truth + 0.01, truth)) == pytest.approx(40.0, abs=1e-3)


def test_pictures_smaller_than_the_window_are_refused():
    with pytest.raises(ValueError, match="at least 11 pixels"):
        ssim(pictures(3, 10, 16), pictures(3, 10, 16))


def test_diversity_is_the_mean_over_pairs():
    triangle = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]])
    assert float(mean_pairwise_distance(triangle)) == pytest.approx((3 + 4 + 5) / 3)
    assert float(mean_pairwise_distance(torch.full((50, 2), 1e3) + 0.1)) == 0.0
    assert float(mean_pairwise_distance(triangle[:1])) == 0.0
    assert mean_pairwise_distance(pictures(2, 3, 5, 2)).shape == (2, 3)


def test_best_and_worst_futures_are_found():
    """A painter that changes nothing shows the first frame; one that adds grey is worse."""

    class Painter(StructVRNN):
        def decode(self, features, reference):
            return (reference.frames + features[:, :1, None, None]).clamp(0.0, 1.0)

    model = Painter(StructVRNNConfig(image_size=16, widths=(0, 4, 8), keypoints=2, latent=2, hidden=8))
    frames = (255 * pictures(2, 1, 16, 16, 3)).byte().numpy().repeat(5, axis=1)
    futures = torch.zeros(2, 3, 4, 6)
    futures[:, 0, :, 0], futures[0, 2, :, 0], futures[1, 1, :, 0] = 0.1, 0.4, 0.5
    scores = picture_scores(model, frames, futures)
    assert scores["pictured"] == 2
    assert scores["ssim_best"] == pytest.approx(1.0, abs=1e-4) and scores["psnr_best"] == 100.0
    assert scores["ssim_worst"] < 0.9
    worst = scores["per_step"]["psnr_worst"]
    assert len(worst) == 4 and math.isclose(np.mean(worst), scores["psnr_worst"], rel_tol=1e-6)
    expected = [-10 * math.log10(error) for error in (clipped(frames[0], 0.4), clipped(frames[1], 0.5))]
    assert scores["psnr_worst"] == pytest.approx(np.mean(expected), rel=1e-3)


def clipped(frames, grey):
    """Mean squared change of the first frame where grey is added."""
    first = frames[0] / 255.0
    return np.mean((np.clip(first + grey, 0, 1) - first) ** 2)
