"""How alike pictures are (SSIM, PSNR), and how different samples are from each other."""

import math
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from world_models.frames import to_tensor
from world_models.struct_vrnn.model import StructVRNN

WINDOW = 11
SIGMA = 1.5
"""The Gaussian window of Wang et al. 2004, in pixels."""
LUMINANCE, CONTRAST = 0.01**2, 0.03**2
"""Their constants C1 and C2 for pixels in 0..1."""
MOST_DECIBELS = 100.0


def ssim(pictures: Float[Tensor, "*B C H W"], truth: Float[Tensor, "*#B C H W"]) -> Float[Tensor, "*B"]:
    """Structural similarity of pictures in [0, 1]: 1 where they are equal, about 0 where nothing agrees.

    Means, variances and covariance under a Gaussian window, wherever it fits into the picture; averaged over
    these places and the channels (Wang, Bovik, Sheikh and Simoncelli 2004). ``truth`` is broadcast.

    Raises:
        ValueError: a picture is smaller than the window.
    """
    mean, true_mean = _smooth(pictures), _smooth(truth)
    variance = _smooth(pictures.square()) - mean.square()
    true_variance = _smooth(truth.square()) - true_mean.square()
    covariance = _smooth(pictures * truth) - mean * true_mean
    alike = (2 * mean * true_mean + LUMINANCE) * (2 * covariance + CONTRAST)
    size = (mean.square() + true_mean.square() + LUMINANCE) * (variance + true_variance + CONTRAST)
    return (alike / size).mean((-3, -2, -1))


def psnr(pictures: Float[Tensor, "*B C H W"], truth: Float[Tensor, "*#B C H W"]) -> Float[Tensor, "*B"]:
    """Peak signal-to-noise ratio of pictures in [0, 1] in decibels; 100, the most, where they are equal."""
    error = (pictures - truth).square().mean((-3, -2, -1))
    return -10.0 * torch.log10(error.clamp_min(10.0 ** (-MOST_DECIBELS / 10)))


def mean_pairwise_distance(points: Float[Tensor, "*B N D"]) -> Float[Tensor, "*B"]:
    """Mean distance between two different ones of N samples; 0 for a single one."""
    count = points.shape[-2]
    # The other mode subtracts large squares: equal points would be apart.
    between = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist")
    return between.sum((-2, -1)) / max(count * (count - 1), 1)


def _smooth(maps: Float[Tensor, "*B H W"]) -> Float[Tensor, "*B h w"]:
    """Means under the window. As products with band matrices they take a fraction of a convolution's time."""
    return _band(maps.shape[-2], maps.device) @ maps @ _band(maps.shape[-1], maps.device).T


def _band(side: int, device: torch.device) -> Float[Tensor, "side-10 side"]:
    """One row per place where the window fits."""
    if side < WINDOW:
        raise ValueError(f"pictures must be at least {WINDOW} pixels wide and high, got {side}")
    offsets = range(-(WINDOW // 2), WINDOW // 2 + 1)
    bell = torch.tensor([math.exp(-0.5 * (offset / SIGMA) ** 2) for offset in offsets])
    band = torch.zeros(side - WINDOW + 1, side)
    for place, row in enumerate(band):
        row[place : place + WINDOW] = bell / bell.sum()
    return band.to(device)


@torch.no_grad()
def picture_scores(
    model: StructVRNN, frames: UInt8[np.ndarray, "P T H W C"], futures: Float[Tensor, "P N L F"]
) -> dict[str, Any]:
    """SSIM and PSNR of the best and the worst of N futures, painted over the first frame of their sequence.

    Best and worst by the mean SSIM over their frames, which are the last L of the sequence; PSNR is that of
    the same samples. Answers means over sequences, ``pictured`` (their number) and ``per_step``.
    """
    names = ("ssim_best", "ssim_worst", "psnr_best", "psnr_worst")
    device, rows = next(model.parameters()).device, list[Tensor]()
    for sequence, future in zip(to_tensor(frames, device), futures.to(device), strict=True):
        reference = model.reference(sequence[:1]).repeat(len(future))
        ssims, psnrs = list[Tensor](), list[Tensor]()
        for features, truth in zip(future.movedim(1, 0), sequence[-future.shape[1] :], strict=True):
            pictures = model.decode(features, reference)
            ssims.append(ssim(pictures, truth))
            psnrs.append(psnr(pictures, truth))
        alike, decibels = torch.stack(ssims, 1), torch.stack(psnrs, 1)
        best, worst = alike.mean(1).argmax(), alike.mean(1).argmin()
        rows.append(torch.stack([alike[best], alike[worst], decibels[best], decibels[worst]]))
    curves = dict(zip(names, torch.stack(rows).mean(0).cpu(), strict=True))
    return {
        "pictured": len(rows),
        **{name: float(curve.mean()) for name, curve in curves.items()},
        "per_step": {name: curve.tolist() for name, curve in curves.items()},
    }
