import math

import pytest
import torch

from world_models.segmenter import find_blob

MAGENTA = (0.8, 0.12, 0.75)


def test_disc_is_measured():
    y, x = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    frames = torch.full((2, 3, 64, 64), 0.3)
    disc = (x - 20) ** 2 + (y - 40) ** 2 <= 36
    frames[0, :, disc] = torch.tensor(MAGENTA)[:, None]
    found = find_blob(frames, MAGENTA, 0.3)
    assert found.centre[0].tolist() == [20.0, 40.0]
    assert found.mass.tolist() == [disc.sum().item(), 0.0]
    assert found.radius[0].item() == pytest.approx(6 / math.sqrt(2), rel=0.06)
    assert found.centre[1].isnan().all() and found.radius[1].isnan()


def test_two_pieces_have_a_large_radius():
    frames = torch.zeros(1, 3, 64, 64)
    frames[0, :, 30:33, 10:13] = torch.tensor(MAGENTA)[:, None, None]
    alone = find_blob(frames, MAGENTA, 0.3).radius.item()
    frames[0, :, 30:33, 40:43] = torch.tensor(MAGENTA)[:, None, None]
    assert find_blob(frames, MAGENTA, 0.3).radius.item() > 10 * alone


def test_tolerance_is_euclidean_in_rgb():
    frames = torch.tensor(MAGENTA).view(1, 3, 1, 1) + torch.tensor([0.1, 0.1, 0.0]).view(1, 3, 1, 1)
    assert find_blob(frames, MAGENTA, 0.15).mass.item() == 1.0
    assert find_blob(frames, MAGENTA, 0.14).mass.item() == 0.0
