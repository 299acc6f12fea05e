from itertools import product

import pytest
import torch

from world_models.keyin.config import KeyInConfig
from world_models.keyin.discovery.coding import KeyframeCoder, coding_costs, random_pairs
from world_models.keyin.discovery.segmentation import best_offsets, holding_costs, segment_costs, timing_costs
from world_models.keyin.networks import Interpolator


def brute_force(costs, keyframes, ending, exact):
    frames, size = costs.shape
    best = (float("inf"), [])
    for count in range(keyframes if exact else 1, keyframes + 1):
        for steps in product(range(1, size + 1), repeat=count):
            if sum(steps) <= frames:
                starts = [sum(steps[:t]) for t in range(count)]
                total = ending[sum(steps)].item()
                total += sum(costs[j, d - 1].item() for j, d in zip(starts, steps, strict=True))
                best = min(best, (total, [*steps, *[0] * (keyframes - count)]))
    return best[1]


def only_at_the_end(batch, frames):
    ending = torch.full((batch, frames + 1), torch.inf)
    ending[:, -1] = 0.0
    return ending


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("open_end", [True, False])
@pytest.mark.parametrize(
    ("frames", "keyframes", "size"), [(4, 2, 3), (7, 3, 3), (9, 3, 4), (3, 3, 4), (12, 3, 4)]
)
def test_best_offsets_equal_the_enumeration(frames, keyframes, size, open_end, exact):
    rng = torch.Generator().manual_seed(frames)
    costs = torch.rand(6, frames, size, generator=rng) - (0.0 if exact else 0.3)
    ending = 2 * torch.rand(6, frames + 1, generator=rng) if open_end else only_at_the_end(6, frames)
    found = best_offsets(costs, keyframes, ending, exact)
    expected = [brute_force(*row, exact) for row in zip(costs, [keyframes] * 6, ending, strict=True)]
    assert found.tolist() == expected


@pytest.mark.parametrize(("frames", "keyframes", "size"), [(13, 3, 4), (2, 3, 4)])
def test_impossible_covers_are_refused(frames, keyframes, size):
    with pytest.raises(ValueError, match="cannot cover"):
        best_offsets(torch.zeros(1, frames, size), keyframes, only_at_the_end(1, frames), exact=True)


def test_a_price_per_keyframe_makes_them_fewer():
    costs, ending = torch.zeros(1, 6, 3), only_at_the_end(1, 6)
    assert (best_offsets(costs + 1.0, 4, ending, exact=False) > 0).sum() == 2


def test_holding_costs_what_moves_afterwards():
    frames = torch.tensor([0.0, 1.0, 3.0, 3.0])[None, :, None]
    assert holding_costs(frames).tolist() == [[19.0, 8.0, 0.0, 0.0]]


def test_timing_costs_are_log_shares_and_the_last_segment_may_be_cut():
    offsets = torch.tensor([[2, 3, 3], [2, 3, 0], [1, 3, 3], [2, 2, 2]])
    costs = timing_costs(offsets, frames=8, size=3)
    first = torch.tensor([2.0, 4.0, 1.0]) / 7  # one added to each count
    later = torch.tensor([1.0, 3.0, 5.0]) / 9  # 5 + 3 = 8 and 1 + 3 + 3 = 7: only the former reaches the end
    torch.testing.assert_close(costs[0], -first.log())
    torch.testing.assert_close(costs[3], -later.log())
    torch.testing.assert_close(costs[6, 1], -(later[1] + later[2]).log())


def test_coding_costs_are_the_coders_errors():
    config = KeyInConfig(frames=6, max_offset=4, longest_segment=4, embedding=8, hidden=8, latent=2)
    coder = KeyframeCoder(config).eval()
    frames = torch.randn(2, 7, 8, generator=torch.Generator().manual_seed(0))
    costs = coding_costs(coder, frames, 4, beta=0.5).detach()
    for row, j, d in product(range(2), range(6), range(1, 5)):
        if j + d > 6:
            assert costs[row, j, d - 1].isinf()
            continue
        error, kl = coder(frames[row, j][None], frames[row, j + d][None], torch.zeros(1, 2))
        torch.testing.assert_close(costs[row, j, d - 1], (error + 0.5 * kl)[0].detach())


def test_random_pairs_are_ordered_and_all_distances_come_up():
    start, end = random_pairs(2000, 9, 4, torch.Generator().manual_seed(0))
    assert start.min() == 0 and end.max() == 9
    assert (end - start).unique().tolist() == [1, 2, 3, 4]


def test_segment_costs_are_the_interpolation_errors():
    config = KeyInConfig(frames=6, max_offset=4, longest_segment=5, embedding=8, hidden=8)
    interpolator = Interpolator(config).eval()
    frames = torch.randn(2, 7, 8, generator=torch.Generator().manual_seed(0))
    costs = segment_costs(interpolator, frames, 4).detach()
    assert costs.shape == (2, 6, 4)
    for row, j, d in product(range(2), range(6), range(1, 5)):
        if j + d > 6:
            assert costs[row, j, d - 1].isinf()
            continue
        offset = torch.eye(4)[d - 1 : d]
        predicted = interpolator(frames[row, j][None], frames[row, j + d][None], offset)[0, :d]
        error = (predicted - frames[row, j + 1 : j + d + 1]).square().sum()
        torch.testing.assert_close(costs[row, j, d - 1], error.detach())
