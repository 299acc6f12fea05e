"""What a segment costs an object that is to be moved in a straight line: its distance from the chord.

A low level that is shown the next keyframe heads straight for it. How far the object was from the straight
line between two keyframes tells whether it can. When it was where along the line does not matter: distances
are summed along the path, not over time, so that neither rests nor slow pushes draw keyframes.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def chord_distances(
    places: Float[Tensor, "B frames G"], longest: int
) -> tuple[Float[Tensor, "B frames-1 S"], Float[Tensor, "B frames-1 S"]]:
    """Distances of the object from the chord of every segment from frame j to j + d, at ``[:, j, d - 1]``.

    Answers the sum of their squares over the segment's frames, each of which counts by how far the object
    moves there against the sequence's mean, and the largest distance; segments that would leave the sequence
    have infinity. The places of several objects are coordinates of one point: their chord is one line, along
    which they move together.
    """
    batch, length, _ = places.shape
    squares = places.new_full((batch, length - 1, longest), torch.inf)
    largest = squares.clone()
    moves = places.diff(dim=1).norm(dim=-1)
    here = functional.pad(moves, (0, 1)) + functional.pad(moves, (1, 0))  # before and after each frame
    weights = here / here.mean(1, keepdim=True).clamp(min=1e-9)
    for d in range(1, min(longest, length - 1) + 1):
        windows = places.unfold(1, d + 1, 1).transpose(-1, -2)  # [B, starts, d + 1, G]
        from_start = windows - windows[:, :, :1]
        chord = from_start[:, :, -1:]
        share = (from_start * chord).sum(-1, keepdim=True) / chord.square().sum(-1, keepdim=True).clamp(
            min=1e-9
        )
        distance = (from_start - share.clamp(0.0, 1.0) * chord).square().sum(-1)
        squares[:, : length - d, d - 1] = (distance * weights.unfold(1, d + 1, 1)).sum(-1)
        largest[:, : length - d, d - 1] = distance.amax(-1).sqrt()
    return squares, largest


def fill_gaps(places: Float[Tensor, "B frames G"]) -> Float[Tensor, "B frames G"]:
    """Places where the object was not found (NaN) are put between those before and after, in proportion to
    time; all are zero in a sequence that never shows it.
    """
    filled = places.clone()
    time = torch.arange(places.shape[1], device=places.device)
    for row in places.isnan().any(-1).any(-1).nonzero()[:, 0].tolist():
        found = time[~places[row].isnan().any(-1)]
        if not len(found):
            filled[row] = 0.0
            continue
        after = torch.searchsorted(found, time).clamp(max=len(found) - 1)
        before = (torch.searchsorted(found, time, right=True) - 1).clamp(min=0)
        early, late = found[before], found[after]
        share = ((time - early) / (late - early).clamp(min=1))[:, None]
        filled[row] = places[row, early] + share * (places[row, late] - places[row, early])
    return filled
