import pytest
import torch

from world_models.color_blobs import Blob
from world_models.keyin.figures import Limits, _f1, _matches, _pairs


def flags(*times, length=11):
    row = torch.zeros(length, dtype=torch.bool)
    row[list(times)] = True
    return row


def test_exact_matches_ignore_the_first_and_the_last_frame():
    true = torch.stack([flags(0, 3, 7, 10), flags(2, 4)])
    times = torch.tensor([[3, 6, 10], [2, 4, 15]])
    found = _matches(times, true)
    assert found["found"].tolist() == [2, 2] and found["true"].tolist() == [2, 2]
    assert found["hits_0"].tolist() == [1, 2] and found["hits_1"].tolist() == [2, 2]
    assert _f1(found["hits_0"], found["found"], found["true"]) == pytest.approx(0.75)


def test_pairs_within_one_frame_are_one_to_one():
    assert _pairs(flags(3, 5), flags(4)) == 1
    assert _pairs(flags(3, 4), flags(4, 5)) == 2
    assert _pairs(flags(1, 2, 9), flags(2, 3, 6)) == 2
    assert _pairs(flags(), flags(4)) == 0


def test_limits_refuse_missing_faint_split_and_swollen_objects():
    limits = Limits(least_area=20.0, most_area=40.0, most_radius=3.0)
    area = torch.tensor([0.0, 12.0, 30.0, 30.0, 55.0])
    radius = torch.tensor([float("nan"), 1.5, 9.0, 2.2, 2.9])
    assert limits.whole(Blob(torch.zeros(5, 2), area, radius)).tolist() == [False, False, False, True, False]
