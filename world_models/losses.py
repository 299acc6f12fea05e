"""Losses that several models share. Every training objective answers a :class:`Loss`."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from world_models.layers import Gaussian

COLORS = 512
"""Colours that are told apart when rarity is measured: three bits per channel."""


@dataclass(frozen=True)
class Loss:
    """What to minimise, and figures to report."""

    total: Float[Tensor, ""]
    logs: dict[str, Float[Tensor, ""]]


def gaussian_kl(posterior: Gaussian, prior: Gaussian) -> Float[Tensor, "*B"]:
    """KL[posterior || prior] of diagonal Gaussians in nats, summed over the last axis."""
    mean_q, log_variance_q = posterior
    mean_p, log_variance_p = prior
    ratio = log_variance_q - log_variance_p
    distance = (mean_q - mean_p).square() * torch.exp(-log_variance_p)
    return 0.5 * (torch.exp(ratio) + distance - 1.0 - ratio).sum(-1)


def color_index(frames: Float[Tensor, "*B C H W"]) -> Tensor:
    """Which of the 512 coarse colours each pixel has; int64 ``[*B, H, W]``."""
    red, green, blue = (frames * 8).long().clamp_(0, 7).unbind(-3)
    return red * 64 + green * 8 + blue


def color_rarity(frames: Float[Tensor, "B C H W"], ceiling: float = 30.0) -> Float[Tensor, "512"]:
    """Weight of each coarse colour: ``min(1 / sqrt(share), ceiling)``, of mean 1 over the given pixels.

    Small objects (a puck is 1 % of a picture, a thin wall less) are drowned by large ones without some such
    weight. It needs no labels. The square root keeps painting a rare colour where it is not from being cheap.
    """
    share = torch.bincount(color_index(frames).flatten(), minlength=COLORS).double()
    share /= share.sum()
    weight = share.rsqrt().clamp(max=ceiling)
    return (weight / (weight * share).sum()).float()


def picture_loss(
    logits: Float[Tensor, "B C H W"], frames: Float[Tensor, "B C H W"], weights: Float[Tensor, "B H W"]
) -> Float[Tensor, " B"]:
    """Weighted squared error at four scales plus a hundredth of the cross-entropy, summed over a picture.

    The coarse scales (errors averaged over 2, 4 and 8 pixels) say in which direction a thin thing has to move
    that does not overlap with its target yet. The cross-entropy keeps gradients alive where the sigmoid is
    saturated; what it is for a perfect picture is left out.
    """
    target = frames.clamp(1e-6, 1.0 - 1e-6)
    entropy = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    entropy = entropy + target * target.log() + (1.0 - target) * (1.0 - target).log()
    error = torch.sigmoid(logits) - frames
    total = ((error.square() + 0.01 * entropy).sum(1) * weights).sum((-2, -1))
    weighted = error * weights[:, None].sqrt()
    for scale in (2, 4, 8):
        total = total + functional.avg_pool2d(weighted, scale).square().sum((-3, -2, -1)) * scale**2
    return total
