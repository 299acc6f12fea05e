"""Where the keyframes of a known sequence should be, says the interpolator: a teacher without labels.

With the interpolator frozen, the cost of a segment depends on its two ends only. All segments are costed
once, and dynamic programming finds the best M of them.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from world_models.keyin.networks import Interpolator


def segment_costs(interpolator: Interpolator, frames: Float[Tensor, "B T F"]) -> Float[Tensor, "B T-1 S"]:
    """Squared error of interpolating from frame j to frame j + d, at ``[:, j, d - 1]``.

    Segments that would leave the sequence cost infinity.
    """
    batch, length, _ = frames.shape
    size = interpolator.max_offset
    costs = frames.new_full((batch, length - 1, size), torch.inf)
    for d in range(1, min(size, length - 1) + 1):
        starts, ends = frames[:, :-d], frames[:, d:]
        offset = functional.one_hot(torch.tensor(d - 1, device=frames.device), size).float()
        predicted = interpolator(
            starts.flatten(0, 1), ends.flatten(0, 1), offset.expand(starts.shape[0] * starts.shape[1], -1)
        )
        true = frames.unfold(1, d + 1, 1)[..., 1:].transpose(-1, -2).flatten(0, 1)
        error = (predicted[:, :d] - true).square().sum((-2, -1))
        costs[:, : length - d, d - 1] = error.unflatten(0, starts.shape[:2])
    return costs


def best_offsets(costs: Float[Tensor, "B N S"], keyframes: int) -> Int[Tensor, "B M"]:
    """Offsets (1..S) of exactly M segments that join frame 0 to frame N at the least total cost.

    Raises:
        ValueError: M segments of at most S frames cannot cover N frames, or N frames are fewer than M.
    """
    batch, frames, size = costs.shape
    if not keyframes <= frames <= keyframes * size:
        raise ValueError(f"{keyframes} segments of 1..{size} frames cannot cover {frames} frames exactly")
    total = costs.new_full((batch, frames + 1), torch.inf)
    total[:, 0] = 0.0
    choices = []
    for _ in range(keyframes):
        options = costs.new_full((batch, frames + 1, size), torch.inf)
        for d in range(1, min(size, frames) + 1):
            options[:, d:, d - 1] = total[:, : frames + 1 - d] + costs[:, : frames + 1 - d, d - 1]
        total, choice = options.min(-1)
        choices.append(choice + 1)
    return _trace(choices, frames)


def _trace(choices: list[Int[Tensor, "B N+1"]], frames: int) -> Int[Tensor, "B M"]:
    """Follow the best choices back from the last frame."""
    time = torch.full_like(choices[0][:, 0], frames)
    offsets = []
    for choice in reversed(choices):
        offset = choice.gather(1, time[:, None])[:, 0]
        offsets.append(offset)
        time = time - offset
    return torch.stack(offsets[::-1], dim=1)
