import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from world_models.layers import BlobDecoder, FrameEncoder, GaussianHead, reparameterise
from world_models.losses import color_index, color_rarity, gaussian_kl, picture_loss


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def test_kl_agrees_with_torch_distributions():
    mq, vq, mp, vp = torch.randn(4, 5, 3, generator=rng()).unbind(0)
    expected = kl_divergence(Normal(mq, torch.exp(vq / 2)), Normal(mp, torch.exp(vp / 2))).sum(-1)
    torch.testing.assert_close(gaussian_kl((mq, vq), (mp, vp)), expected)
    assert gaussian_kl((mq, vq), (mq, vq)).abs().max() < 1e-6


def test_encoder_and_decoder_are_inverse_in_shape_and_embeddings_are_normalised():
    frames = torch.rand(3, 3, 32, 32, generator=rng())
    embeddings = FrameEncoder(32, (4, 8, 8), 5, 16, 12)(frames)
    assert embeddings.shape == (3, 12)
    assert embeddings.mean(-1).abs().max() < 1e-5
    torch.testing.assert_close(embeddings.var(-1, unbiased=False), torch.ones(3), atol=1e-2, rtol=0)
    assert BlobDecoder(32, 4, 16, 12)(embeddings).shape == frames.shape


def test_standard_head_starts_as_standard_normal():
    mean, log_variance = GaussianHead(6, 8, 2, standard=True)(torch.randn(4, 6, generator=rng()))
    assert not mean.any() and not log_variance.any()


def test_reparameterised_samples_have_the_right_moments():
    gaussian = torch.tensor([2.0, -1.0]), torch.tensor([0.0, 1.0])
    rows = tuple(part.expand(200_000, 2) for part in gaussian)
    samples = reparameterise(rows, torch.randn(200_000, 2, generator=rng()))
    torch.testing.assert_close(samples.mean(0), gaussian[0], atol=0.02, rtol=0)
    torch.testing.assert_close(samples.var(0), gaussian[1].exp(), atol=0.05, rtol=0)


def test_rare_colours_weigh_more_and_the_mean_weight_is_one():
    frames = torch.zeros(1, 3, 10, 10)
    frames[:, 0, 0, :4] = 1.0  # 4 % red on black
    weights = color_rarity(frames)[color_index(frames)]
    assert weights.mean().item() == pytest.approx(1.0, abs=1e-5)
    assert (weights[0, 0, 0] / weights[0, 5, 5]).item() == pytest.approx((0.96 / 0.04) ** 0.5, rel=1e-5)


def test_rarity_has_a_ceiling():
    frames = torch.zeros(1, 3, 100, 100)
    frames[:, 0, 0, 0] = 1.0
    weights = color_rarity(frames, ceiling=20.0)[color_index(frames)]
    assert (weights.max() / weights.min()).item() == pytest.approx(20.0, rel=1e-3)


def test_picture_loss_falls_towards_the_truth_and_obeys_weights():
    frames = torch.full((1, 3, 8, 8), 0.75)
    weights = torch.ones(1, 8, 8)
    truth = torch.logit(frames)
    assert picture_loss(truth, frames, weights).item() == pytest.approx(0.0, abs=1e-4)
    assert picture_loss(truth + 0.5, frames, weights) > 0.1
    worse = truth.clone()
    worse[..., 0, 0] -= 1.0
    weights[:, 0, 0] = 0.0
    assert picture_loss(worse, frames, weights) == picture_loss(truth, frames, weights)


def test_blobs_are_oriented_gaussians():
    decoder = BlobDecoder(32, 1, 8, 4)
    amplitude, x, y, u, v, shear = 2.0, 0.25, -0.5, 0.4, 0.9, 0.7
    picture = decoder.render(torch.tensor([[amplitude, x, y, u, v, shear]]))[0, 0]
    precision = torch.tensor([[math.exp(u), shear], [0.0, math.exp(v)]])
    for row, column in [(0, 0), (3, 9), (15, 2)]:
        offset = torch.tensor([(column + 0.5) / 8 - 1 - x, (row + 0.5) / 8 - 1 - y])
        expected = amplitude * torch.exp(-0.5 * (precision @ offset).square().sum())
        torch.testing.assert_close(picture[row, column], expected)


def test_a_shifted_blob_paints_a_shifted_picture():
    decoder = BlobDecoder(32, 2, 8, 4)
    parameters = torch.tensor([[1.0, -0.1, 0.2, 3.0, 2.0, 1.0], [2.0, 0.1, 0.0, 2.5, 3.0, 0.0]])
    moved = parameters.clone()
    moved[:, 1] += 0.25  # an eighth of the picture: 4 of 32 pixels
    before, after = (decoder.paint(decoder.render(p.flatten()[None])) for p in (parameters, moved))
    torch.testing.assert_close(after[..., 4:-4, 8:-4], before[..., 4:-4, 4:-8], atol=1e-5, rtol=1e-4)


def test_coarse_scales_prefer_a_near_miss_to_a_far_one():
    frames, weights = torch.full((1, 3, 16, 16), 0.1), torch.ones(1, 16, 16)
    near, far = frames.clone(), frames.clone()
    frames[..., 4], near[..., 5], far[..., 12] = 0.9, 0.9, 0.9
    assert picture_loss(torch.logit(near), frames, weights) < 0.8 * picture_loss(
        torch.logit(far), frames, weights
    )
