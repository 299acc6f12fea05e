from itertools import product

import pytest
import torch

from world_models.keyin.keyframes.scores import _pairs, pattern_times, random_times, score, static_offsets


def flags(*times, length=11):
    row = torch.zeros(length, dtype=torch.bool)
    row[list(times)] = True
    return row


def test_the_first_and_the_last_frame_and_what_lies_beyond_do_not_count():
    true = torch.stack([flags(0, 3, 7, 10), flags(2, 4)])
    scores = score(torch.tensor([[3, 6, 10], [2, 4, 15]]), true)
    assert scores.precision.tolist() == [0.5, 1.0] and scores.recall.tolist() == [0.5, 1.0]
    assert scores.f1.tolist() == [0.5, 1.0] and scores.f1_within_1.tolist() == [1.0, 1.0]


def test_scores_by_hand():
    scores = score(torch.tensor([[2, 4, 6, 9], [1, 1, 1, 1], [10, 11, 12, 13]]), flags(4, 9, 5).expand(3, -1))
    torch.testing.assert_close(scores.precision, torch.tensor([2 / 4, 0.0, 0.0]))
    torch.testing.assert_close(scores.recall, torch.tensor([2 / 3, 0.0, 0.0]))
    torch.testing.assert_close(scores.f1, torch.tensor([4 / 7, 0.0, 0.0]))
    torch.testing.assert_close(scores.f1_within_1, torch.tensor([6 / 7, 0.0, 0.0]))


def test_recall_by_time():
    found = score(torch.tensor([[2, 5], [2, 6]]), torch.stack([flags(2, 5), flags(3, 5, 6)])).recall_by_time()
    assert found.shape == (9,)
    torch.testing.assert_close(found[[1, 2, 4, 5]], torch.tensor([1.0, 0.0, 0.5, 1.0]))
    assert found[[0, 3, 6, 7, 8]].isnan().all()


def test_pairs_within_one_frame_are_one_to_one():
    assert _pairs(flags(3, 5), flags(4)) == 1
    assert _pairs(flags(3, 4), flags(4, 5)) == 2
    assert _pairs(flags(1, 2, 9), flags(2, 3, 6)) == 2
    assert _pairs(flags(), flags(4)) == 0


@pytest.mark.usefixtures("unchecked")
def test_different_numbers_of_sequences_are_refused():
    with pytest.raises(ValueError, match="2 sequences were predicted, but 1"):
        score(torch.ones(2, 3, dtype=torch.long), flags(3)[None])


def test_offsets_of_the_trivial_predictors():
    assert pattern_times(2, (4, 6, 5)).tolist() == [[4, 10, 15]] * 2
    times = random_times(500, 6, (7, 8, 9), torch.Generator().manual_seed(0))
    offsets = times.diff(dim=1, prepend=torch.zeros(500, 1, dtype=torch.long))
    assert times.shape == (500, 6) and set(offsets.unique().tolist()) == {7, 8, 9}


def test_static_offsets_are_the_cheapest_pattern_on_average():
    costs = torch.rand(200, 9, 4, generator=torch.Generator().manual_seed(0))
    for j, d in product(range(9), range(1, 5)):
        if j + d > 9:
            costs[:, j, d - 1] = torch.inf

    def total(offsets):
        starts = [sum(offsets[:t]) for t in range(3)]
        return sum(costs[:, j, d - 1].mean().item() for j, d in zip(starts, offsets, strict=True))

    patterns = [list(steps) for steps in product(range(1, 5), repeat=3) if sum(steps) == 9]
    assert static_offsets(costs.mean(0), 3).tolist() == min(patterns, key=total)
    with pytest.raises(ValueError, match="cannot cover"):
        static_offsets(costs.mean(0), 2)
