"""Keyframes where SVG is surprised: KeyIn's baseline (Pertsch et al. 2019, section 9, Algorithm 3)."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

LAG = 1
"""Frames from a keyframe to the frame that surprises.

A keyframe is the last frame of the old motion: where a path turns, or a push ends. It still looks as
foreseen; the frame after it is the first that does not.
"""


def surprise_keyframes(surprise: Float[Tensor, "B N"], count: int) -> Int[Tensor, "B M"]:
    """KeyIn's Algorithm 3: the M = ``count`` keyframes that surprise points to, as increasing times.

    ``surprise[:, t - 1]`` belongs to time t of 1..N. The keyframe of a surprise at t is at ``t - LAG``, so
    the first :data:`LAG` surprises have none. Peaks are larger than both neighbours (the paper's formula has
    one sign wrong); the last time has only one. The largest peaks come first; if they are too few, the
    largest other surprises are added.

    Raises:
        ValueError: there are not that many times to choose from.
    """
    possible = surprise.shape[1] - LAG
    if not 1 <= count <= possible:
        raise ValueError(
            f"{count} keyframes were asked for, but {surprise.shape[1]} frames have 1 to {possible}"
        )
    peak = peaks(surprise)
    by_surprise = surprise[:, LAG:].argsort(dim=1, descending=True, stable=True)
    peaks_first = peak[:, LAG:].gather(1, by_surprise).int().argsort(dim=1, descending=True, stable=True)
    return by_surprise.gather(1, peaks_first)[:, :count].sort(dim=1).values + 1


def peaks(surprise: Float[Tensor, "B N"]) -> Bool[Tensor, "B N"]:
    """Which surprises are larger than both their neighbours."""
    outside = surprise.new_full((len(surprise), 1), -torch.inf)
    padded = torch.cat([outside, surprise, outside], dim=1)
    return (surprise > padded[:, :-2]) & (surprise > padded[:, 2:])
