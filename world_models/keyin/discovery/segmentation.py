"""Where the keyframes of a known sequence should be: a teacher without labels.

With the networks frozen, what a segment costs depends on its two ends only. All segments are costed once,
and dynamic programming finds the best of all segmentations.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from world_models.keyin.networks import Interpolator
from world_models.keyin.published.interpolator import LSTMInterpolator


def segment_costs(
    interpolator: Interpolator | LSTMInterpolator, frames: Float[Tensor, "B frames F"], longest: int
) -> Float[Tensor, "B frames-1 S"]:
    """Squared error of interpolating from frame j to frame j + d, at ``[:, j, d - 1]``; d <= ``longest``.

    Segments that would leave the sequence cost infinity.
    """
    batch, length, _ = frames.shape
    costs = frames.new_full((batch, length - 1, longest), torch.inf)
    for d in range(1, min(longest, length - 1) + 1):
        starts, ends = frames[:, :-d], frames[:, d:]
        offset = functional.one_hot(torch.tensor(d - 1, device=frames.device), d).float()
        offset = offset.expand(starts.shape[0] * starts.shape[1], -1)
        predicted = interpolator(starts.flatten(0, 1), ends.flatten(0, 1), offset)
        true = frames.unfold(1, d + 1, 1)[..., 1:].transpose(-1, -2).flatten(0, 1)
        error = (predicted - true).square().sum((-2, -1))
        costs[:, : length - d, d - 1] = error.unflatten(0, starts.shape[:2])
    return costs


def holding_costs(frames: Float[Tensor, "B frames F"]) -> Float[Tensor, "B frames"]:
    """Squared error of keeping frame j for the rest of the sequence, which a last keyframe at j leaves."""
    size = frames.shape[1]
    distance = torch.cdist(frames, frames).square()
    later = torch.ones(size, size, device=frames.device).triu(1)
    return (distance * later).sum(-1)


def best_offsets(
    costs: Float[Tensor, "B N S"], keyframes: int, ending: Float[Tensor, "B N+1"], exact: bool
) -> Int[Tensor, "B M"]:
    """Offsets (1..S) of the cheapest segmentation into M segments, or into at most M unless ``exact``.

    ``costs[:, j, d - 1]`` is the cost of a segment from j to j + d, ``ending[:, j]`` that of having the last
    keyframe at j (infinite where that is not allowed). Offsets of segments that are not used are 0.

    Raises:
        ValueError: a sequence has no such segmentation of finite cost.
    """
    batch, frames, size = costs.shape
    total = costs.new_full((batch, frames + 1), torch.inf)
    total[:, 0] = 0.0
    choices, ends = [], []
    for _ in range(keyframes):
        options = costs.new_full((batch, frames + 1, size), torch.inf)
        for d in range(1, min(size, frames) + 1):
            options[:, d:, d - 1] = total[:, : frames + 1 - d] + costs[:, : frames + 1 - d, d - 1]
        total, choice = options.min(-1)
        choices.append(choice + 1)
        ends.append((total + ending).min(-1))
    cheapest = torch.stack([end.values for end in ends], dim=1)
    if exact:
        cheapest[:, :-1] = torch.inf
    best, used = cheapest.min(-1)
    if not best.isfinite().all():
        raise ValueError(f"{keyframes} segments of 1..{size} frames cannot cover {frames} frames")
    last = torch.stack([end.indices for end in ends], dim=1).gather(1, used[:, None])[:, 0]
    return _trace(choices, used, last)


def _trace(
    choices: list[Int[Tensor, "B frames"]], used: Int[Tensor, " B"], last: Int[Tensor, " B"]
) -> Int[Tensor, "B M"]:
    """Follow the best choices back from the ``last`` keyframe's time; ``used`` is its index."""
    rows = torch.arange(len(last), device=last.device)
    time, offsets = last.clone(), []
    for index in range(len(choices) - 1, -1, -1):
        taken = torch.where(index <= used, choices[index][rows, time], 0)
        offsets.append(taken)
        time = time - taken
    return torch.stack(offsets[::-1], dim=1)


def onward_offsets(costs: Float[Tensor, "B N S"], keyframes: int) -> Int[Tensor, "B M N"]:
    """The first offset (1..S) of the cheapest way on to frame N in exactly m segments, from every frame.

    At ``[:, m - 1, j]`` for a start at frame j; 0 where there is no such way. ``costs`` as in
    :func:`best_offsets`. :func:`follow` answers all offsets of a way.
    """
    batch, frames, size = costs.shape
    total = costs.new_full((batch, frames + 1), torch.inf)
    total[:, -1] = 0.0
    tables = []
    for _ in range(keyframes):
        options = torch.full_like(costs, torch.inf)
        for d in range(1, min(size, frames) + 1):
            options[:, : frames + 1 - d, d - 1] = costs[:, : frames + 1 - d, d - 1] + total[:, d:]
        best = options.min(-1)
        tables.append(torch.where(best.values.isfinite(), best.indices + 1, 0))
        total = torch.cat([best.values, total.new_full((batch, 1), torch.inf)], dim=1)
    return torch.stack(tables, dim=1)


def follow(
    onward: Int[Tensor, "B M N"], start: Int[Tensor, " B"], count: Int[Tensor, " B"]
) -> Int[Tensor, "B M"]:
    """All offsets of the ways of :func:`onward_offsets` from ``start`` on in ``count`` segments, then 0."""
    rows, last = torch.arange(len(onward), device=onward.device), onward.shape[2] - 1
    time, offsets = start.clone(), []
    for index in range(onward.shape[1]):
        left = count - index
        taken = onward[rows, (left - 1).clamp(min=0), time.clamp(max=last)].long()
        taken = torch.where(left > 0, taken, 0)
        offsets.append(taken)
        time = time + taken
    return torch.stack(offsets, dim=1)


def timing_costs(offsets: Int[Tensor, "n M"], frames: int, size: int) -> Float[Tensor, "N S"]:
    """Minus the log probability of every segment's length, as the given segmentations have them, in nats.

    First segments have a distribution of their own. Where a segment that reaches the end of the sequence
    would have ended cannot be seen: it costs the probability of being at least so long.
    """
    known = (offsets > 0) & (offsets.cumsum(-1) < frames)
    costs = []
    for lengths in (offsets[:, :1][known[:, :1]], offsets[:, 1:][known[:, 1:]]):
        counts = torch.bincount(lengths, minlength=size + 1)[1:].float() + 1.0
        share = counts / counts.sum()
        exact, at_least = -share.log(), -share.flip(0).cumsum(0).flip(0).log()
        ends = torch.arange(frames)[:, None] + torch.arange(1, size + 1)
        costs.append(torch.where(ends.to(share.device) < frames, exact, at_least))
    return torch.cat([costs[0][:1], costs[1][1:]])
