from itertools import product

import pytest
import torch

from world_models.keyin.config import KeyInConfig
from world_models.keyin.networks import Interpolator
from world_models.keyin.segmentation import best_offsets, segment_costs


def brute_force(costs, keyframes):
    frames, size = costs.shape
    best = None
    for steps in product(range(1, size + 1), repeat=keyframes):
        if sum(steps) == frames:
            starts = [sum(steps[:t]) for t in range(keyframes)]
            total = sum(costs[j, d - 1].item() for j, d in zip(starts, steps, strict=True))
            if best is None or total < best[0]:
                best = total, list(steps)
    return best[1]


@pytest.mark.parametrize(
    ("frames", "keyframes", "size"), [(4, 2, 3), (7, 3, 3), (9, 3, 4), (3, 3, 4), (12, 3, 4)]
)
def test_best_offsets_equal_the_enumeration(frames, keyframes, size):
    costs = torch.rand(6, frames, size, generator=torch.Generator().manual_seed(frames))
    found = best_offsets(costs, keyframes)
    assert found.tolist() == [brute_force(row, keyframes) for row in costs]


@pytest.mark.parametrize(("frames", "keyframes", "size"), [(13, 3, 4), (2, 3, 4)])
def test_impossible_covers_are_refused(frames, keyframes, size):
    with pytest.raises(ValueError, match="cannot cover"):
        best_offsets(torch.zeros(1, frames, size), keyframes)


def test_segment_costs_are_the_interpolation_errors():
    config = KeyInConfig(frames=6, max_offset=4, embedding=8, hidden=8)
    interpolator = Interpolator(config).eval()
    frames = torch.randn(2, 7, 8, generator=torch.Generator().manual_seed(0))
    costs = segment_costs(interpolator, frames).detach()
    assert costs.shape == (2, 6, 4)
    for row, j, d in product(range(2), range(6), range(1, 5)):
        if j + d > 6:
            assert costs[row, j, d - 1].isinf()
            continue
        offset = torch.eye(4)[d - 1 : d]
        predicted = interpolator(frames[row, j][None], frames[row, j + d][None], offset)[0, :d]
        error = (predicted - frames[row, j + 1 : j + d + 1]).square().sum()
        torch.testing.assert_close(costs[row, j, d - 1], error.detach())
