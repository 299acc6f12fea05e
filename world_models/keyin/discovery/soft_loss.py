"""The continuous relaxation loss (section 3.2, Algorithm 2): keyframe times as distributions.

Times are counted from the context frame, which is keyframe 0 at time 0; the frames to predict have times
1..N. Offset distribution ``offsets[:, t, d - 1]`` is the probability that keyframe t+1 comes d frames after
keyframe t. Two readings of the paper, whose indices mix counting from 0 and from 1:

* Segment t covers the frames *after* keyframe t-1 up to and *including* keyframe t, so each time has exactly
  one producer, and ``e`` counts offsets ``>= i`` for frames counted from 1.
* Soft keyframe targets are divided by c (as the authors' code does): a keyframe that is inside the sequence
  with probability 1/2 should look like a frame, not like half of one. For c = 1 there is no difference.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

EPSILON = 1e-6


def advance(location: Float[Tensor, "B J"], offsets: Float[Tensor, "B S"]) -> Float[Tensor, "B J"]:
    """Move a distribution over times 0..J-1 by a random offset 1..S; what passes the end is dropped.

    One step of the chain rule of Algorithm 2: ``tau^t = tau^(t-1) * delta^t``.
    """
    size = location.shape[-1]
    moved = torch.zeros_like(location)
    for index, probability in enumerate(offsets[:, : size - 1].unbind(-1)):
        shift = index + 1
        step = location[:, : size - shift] * probability[:, None]
        moved = moved + torch.nn.functional.pad(step, (shift, 0))
    return moved


def keyframe_times(offsets: Float[Tensor, "B M S"], frames: int) -> Float[Tensor, "B M+1 {frames+1}"]:
    """``tau``: distribution of each keyframe's time over 0..N; row 0 is the context frame at time 0.

    Rows sum to ``c^t``, the probability that keyframe t lies inside the sequence.
    """
    location = offsets.new_zeros(len(offsets), frames + 1)
    location[:, 0] = 1.0
    times = [location]
    for step in offsets.unbind(1):
        times.append(advance(times[-1], step))
    return torch.stack(times, dim=1)


def frame_times(
    times: Float[Tensor, "B rows J"], offsets: Float[Tensor, "B rows-1 S"]
) -> Float[Tensor, "B rows-1 S J"]:
    """``tau^t_{i,j}``: probability that frame i (from 1) of segment t exists and shows time j in 0..N.

    It does so if keyframe t-1 was at time ``j - i`` and the segment is at least i frames long (``e^t_i``).
    """
    running = offsets.flip(-1).cumsum(-1).flip(-1)  # e: offset >= i
    size = times.shape[-1]
    shifted = []
    for i in range(1, offsets.shape[-1] + 1):
        kept = times[:, :-1, : max(size - i, 0)]
        shifted.append(torch.nn.functional.pad(kept, (size - kept.shape[-1], 0)))
    return torch.stack(shifted, dim=2) * running[..., None]


@dataclass(frozen=True)
class SoftLoss:
    """The parts of eq. 3 and 4, one value per sequence."""

    keyframe: Float[Tensor, " B"]
    """Squared embedding error to the soft targets, averaged over keyframes with weights c."""
    divergence: Float[Tensor, " B"]
    """KL in nats per keyframe, averaged likewise."""
    interpolation: Float[Tensor, " B"]
    """Squared error of the soft frames, averaged over the N times."""
    used: Float[Tensor, " B"]
    """Expected number of keyframes inside the sequence."""


def soft_loss(
    frames: Float[Tensor, "B N F"],
    keyframes: Float[Tensor, "B M F"],
    offsets: Float[Tensor, "B M S"],
    segments: Float[Tensor, "B M S F"],
    kl: Float[Tensor, "B M"],
) -> SoftLoss:
    """Algorithm 2 on embeddings.

    Args:
        frames: the true frames at times 1..N.
        keyframes: predicted keyframes.
        offsets: their offset distributions over 1..S.
        segments: predicted frames 1..S after each previous keyframe.
        kl: KL[posterior || prior] of each keyframe's decision in nats.
    """
    times = keyframe_times(offsets, frames.shape[1])
    tau = times[:, 1:, 1:]
    inside = tau.sum(-1)
    targets = torch.einsum("bmj,bjf->bmf", tau, frames) / (inside[..., None] + EPSILON)
    error = (keyframes - targets).square().sum(-1)
    used = inside.sum(-1)
    shows = frame_times(times, offsets)[..., 1:]
    soft = torch.einsum("bmsj,bmsf->bjf", shows, segments)
    soft = soft / (shows.sum((1, 2))[..., None] + EPSILON)
    return SoftLoss(
        keyframe=(inside * error).sum(-1) / (used + EPSILON),
        divergence=(inside * kl).sum(-1) / (used + EPSILON),
        interpolation=(frames - soft).square().sum(-1).mean(-1),
        used=used,
    )
