"""How well keyframes are found: the scores of KeyIn's Table 1 and the predictors that look at nothing.

Times count from the last context frame, which is time 0; frames 1..N are to be predicted. The times that
count are 1..N-1: a turn *at* time N shows in no frame, so that a keyframe there, true or predicted, is
neither asked for nor held against anyone. What is predicted beyond N is dropped, as the authors do. A match
is the exact frame. Every sequence has its own F1, and these are averaged.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from world_models.keyin.discovery.segmentation import best_offsets


@dataclass(frozen=True)
class Scores:
    """Scores of every sequence, in 0..1; a share of nothing is 0.

    ``f1_within_1`` matches keyframes one to one that are at most one frame apart. ``hits`` and ``true`` say
    for the times 1..N-1 which keyframes were found at the exact frame, and which there are.
    """

    f1: Float[Tensor, " B"]
    precision: Float[Tensor, " B"]
    recall: Float[Tensor, " B"]
    f1_within_1: Float[Tensor, " B"]
    hits: Bool[Tensor, "B inner"]
    true: Bool[Tensor, "B inner"]

    def recall_by_time(self) -> Float[Tensor, " inner"]:
        """Share of the true keyframes at each time 1..N-1 that was found; NaN where there are none."""
        return self.hits.sum(0) / self.true.sum(0)


def score(times: Int[Tensor, "B M"], flags: Bool[Tensor, "B frames"]) -> Scores:
    """Compare predicted times with the recorded flags of frames 0..N (see the module's rule).

    Raises:
        ValueError: the two are for different numbers of sequences.
    """
    if len(times) != len(flags):
        raise ValueError(f"{len(times)} sequences were predicted, but {len(flags)} are recorded")
    last = flags.shape[1] - 1
    inside = (times >= 1) & (times < last)
    marked = torch.zeros_like(flags)
    rows = torch.arange(len(flags), device=flags.device)[:, None].expand_as(times)
    marked[rows[inside], times[inside]] = True
    found, true = marked[:, 1:last], flags[:, 1:last]
    hits = found & true
    matches, emitted, wanted = hits.sum(1), found.sum(1), true.sum(1)
    near = torch.tensor([_pairs(f, t) for f, t in zip(found, true, strict=True)], device=flags.device)
    return Scores(
        f1=_share(2 * matches, emitted + wanted),
        precision=_share(matches, emitted),
        recall=_share(matches, wanted),
        f1_within_1=_share(2 * near, emitted + wanted),
        hits=hits,
        true=true,
    )


def _share(part: Int[Tensor, " B"], whole: Int[Tensor, " B"]) -> Float[Tensor, " B"]:
    return part / whole.clamp(min=1)


def _pairs(found: Bool[Tensor, " T"], true: Bool[Tensor, " T"]) -> int:
    """The most one-to-one pairs at most one frame apart: greedy in time order is optimal."""
    a, b = found.nonzero().flatten().tolist(), true.nonzero().flatten().tolist()
    i = j = pairs = 0
    while i < len(a) and j < len(b):
        if abs(a[i] - b[j]) <= 1:
            pairs, i, j = pairs + 1, i + 1, j + 1
        elif a[i] < b[j]:
            i += 1
        else:
            j += 1
    return pairs


def random_times(
    batch: int, keyframes: int, offsets: Sequence[int], generator: torch.Generator
) -> Int[Tensor, "B M"]:
    """Random: every offset is drawn from ``offsets``, all equally likely."""
    choice = torch.randint(len(offsets), (batch, keyframes), generator=generator)
    return torch.tensor(offsets)[choice].cumsum(-1)


def pattern_times(batch: int, offsets: Sequence[int]) -> Int[Tensor, "B M"]:
    """Constant, Static, Jumpy: the same offsets for every sequence."""
    return torch.tensor(offsets).cumsum(-1).expand(batch, -1)


def static_offsets(costs: Float[Tensor, "N S"], keyframes: int) -> Int[Tensor, " M"]:
    """Static, learned: the offsets (1..S) of the one segmentation of 0..N that is cheapest on average.

    Args:
        costs: mean over sequences of the cost of a segment from j to j + d, at ``[j, d - 1]``; infinite where
            it would leave the sequence (:func:`world_models.keyin.discovery.segmentation.segment_costs`).
        keyframes: M, the number of segments.

    Raises:
        ValueError: M segments of at most S frames cannot cover N frames exactly.
    """
    ending = costs.new_full((1, len(costs) + 1), torch.inf)
    ending[:, -1] = 0.0
    return best_offsets(costs[None], keyframes, ending, exact=True)[0]
