"""How alike painted futures are to the truth, and how different samples are from each other."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from world_models.frames import to_tensor
from world_models.picture_scores import psnr, ssim
from world_models.struct_vrnn.model import StructVRNN


def mean_pairwise_distance(points: Float[Tensor, "*B N D"]) -> Float[Tensor, "*B"]:
    """Mean distance between two different ones of N samples; 0 for a single one."""
    count = points.shape[-2]
    # The other mode subtracts large squares: equal points would be apart.
    between = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist")
    return between.sum((-2, -1)) / max(count * (count - 1), 1)


@torch.no_grad()
def picture_scores(
    model: StructVRNN, frames: UInt8[np.ndarray, "P T H W C"], futures: Float[Tensor, "P N L F"]
) -> dict[str, Any]:
    """SSIM and PSNR of the best and the worst of N futures, painted over the first frame of their sequence.

    Best and worst by the mean SSIM over their frames, which are the last L of the sequence; PSNR is that of
    the same samples. Answers means over sequences, ``pictured`` (their number), ``per_step`` and
    ``sequences``, the scores of each.
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
    scores = torch.stack(rows).cpu()
    curves = dict(zip(names, scores.mean(0), strict=True))
    return {
        "pictured": len(rows),
        **{name: float(curve.mean()) for name, curve in curves.items()},
        "per_step": {name: curve.tolist() for name, curve in curves.items()},
        "sequences": dict(zip(names, scores.mean(2).T.tolist(), strict=True)),
    }
