import torch

from world_models.keyin.figures import Limits
from world_models.segmenter import Blob


def test_limits_refuse_missing_faint_split_and_swollen_objects():
    limits = Limits(least_area=20.0, most_area=40.0, most_radius=3.0)
    area = torch.tensor([0.0, 12.0, 30.0, 30.0, 55.0])
    radius = torch.tensor([float("nan"), 1.5, 9.0, 2.2, 2.9])
    assert limits.whole(Blob(torch.zeros(5, 2), area, radius)).tolist() == [False, False, False, True, False]
