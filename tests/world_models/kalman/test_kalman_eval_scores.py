import math

import pytest
import torch

from world_models.kalman.evaluation.scores import (
    Affine,
    assign,
    fit_affine,
    mean_and_interval,
    nats_per_pixel,
    ratio_and_interval,
    reorder,
    share_and_interval,
    swapped,
    within_ellipse,
)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def test_nats_per_pixel_is_the_mean_of_surprises():
    frames = torch.tensor([1.0, 0.0, 0.0, 1.0]).view(1, 1, 1, 2, 2)
    predicted = torch.tensor([0.8, 0.3, 0.5, 0.25]).view(1, 1, 1, 2, 2)
    wanted = -(math.log(0.8) + math.log(0.7) + math.log(0.5) + math.log(0.25)) / 4
    assert nats_per_pixel(predicted, frames).item() == pytest.approx(wanted)


def test_certain_and_wrong_costs_sixteen_nats_for_white_and_black_alike():
    frames = torch.tensor([1.0, 0.0]).view(1, 2, 1, 1, 1)
    losses = nats_per_pixel(1 - frames, frames)
    assert losses[0].tolist() == pytest.approx([16.118, 16.118], abs=0.001)
    assert nats_per_pixel(frames, frames).max() < 1e-6


def test_tracks_are_assigned_to_the_balls_they_follow():
    balls = torch.randn(5, 3, 4, 2, generator=rng())
    order = torch.tensor([[0, 1, 2], [2, 0, 1], [1, 0, 2], [2, 1, 0], [1, 2, 0]])
    tracks = torch.empty_like(balls)
    for row, permutation in enumerate(order):
        tracks[row, permutation] = balls[row]  # track permutation[n] follows ball n
    tracks += 0.01 * torch.randn(tracks.shape, generator=rng(1))
    found = assign(tracks, balls)
    assert torch.equal(found, order)
    assert (reorder(tracks, found) - balls).abs().max() < 0.1


def test_fit_affine_finds_the_map():
    true = Affine(torch.tensor([[2.0, 1.0], [-0.5, 1.5]]), torch.tensor([3.0, -4.0]))
    places = torch.randn(7, 4, 2, generator=rng())
    found = fit_affine(places, true(places))
    assert torch.allclose(found.matrix, true.matrix, atol=1e-5)
    assert torch.allclose(found.offset, true.offset, atol=1e-5)
    covariance = places.flatten(0, 1).T.cov()
    assert torch.allclose(true.spread(covariance), true(places).flatten(0, 1).T.cov(), atol=1e-4)


def test_fit_affine_refuses_places_on_a_line():
    line = torch.linspace(0, 1, 9)[:, None] * torch.tensor([1.0, 2.0])
    with pytest.raises(ValueError, match="do not move in the plane"):
        fit_affine(line, line)


@pytest.fixture
def crossing():
    """Two balls that fly through each other, at distances of up to 9 px."""
    x = torch.linspace(-4.5, 4.5, 10)
    balls = torch.stack([torch.stack([x, 0 * x], -1), torch.stack([-x, 0 * x + 0.2], -1)])
    return balls[None]


def test_tracks_that_follow_have_not_swapped(crossing):
    tracks = crossing + 0.5 * torch.randn(crossing.shape, generator=rng())
    assert not swapped(tracks, crossing, margin=2.0, frames=3).any()


def test_tracks_that_change_balls_have_swapped(crossing):
    tracks = crossing.clone()
    tracks[0, 0, 5:], tracks[0, 1, 5:] = crossing[0, 1, 5:], crossing[0, 0, 5:]
    assert swapped(tracks, crossing, margin=2.0, frames=3).all()
    # The same for a single track, but not for two frames alone.
    tracks = crossing.clone()
    tracks[0, 0, 5:] = crossing[0, 1, 5:]
    assert swapped(tracks, crossing, margin=2.0, frames=3).all()
    tracks[0, 0, 8:] = crossing[0, 0, 8:]
    tracks[0, 0, 5] = crossing[0, 0, 5]
    assert not swapped(tracks, crossing, margin=2.0, frames=3).any()


def test_a_single_track_has_nothing_to_swap_with():
    balls = torch.zeros(2, 1, 9, 2)
    assert not swapped(balls + 9, balls, margin=2.0, frames=3).any()


def test_a_95_percent_ellipse_holds_95_percent():
    root = torch.tensor([[2.0, 0.0], [1.5, 0.5]])
    places = torch.randn(20000, 2, generator=rng()) @ root.mT
    inside = within_ellipse(torch.zeros(2).expand(20000, 2), (root @ root.mT).expand(20000, 2, 2), places)
    assert inside.float().mean().item() == pytest.approx(0.95, abs=0.005)


def test_intervals():
    values = torch.tensor([1.0, 2.0, 3.0, 4.0])
    assert mean_and_interval(values) == pytest.approx({"mean": 2.5, "ci95": 1.96 * math.sqrt(5 / 3) / 2})
    ratio = ratio_and_interval(0.5 * values, values)
    assert ratio == pytest.approx({"ratio": 0.5, "ci95": 0.0})
    none, some = share_and_interval(torch.zeros(100, dtype=torch.bool)), share_and_interval(values > 3)
    assert none["ci95"] == pytest.approx([0.0, 0.037], abs=1e-3)
    assert (some["share"], some["count"]) == (0.25, 1)
    assert some["ci95"] == pytest.approx([0.0456, 0.6994], abs=1e-3)


def test_the_interval_of_a_ratio_is_that_of_its_repetitions():
    above = torch.randn(400, 500, generator=rng()) + 3
    below = above + torch.randn(400, 500, generator=rng(1)) + 3
    found = [ratio_and_interval(a, b) for a, b in zip(above, below, strict=True)]
    ratios = torch.tensor([each["ratio"] for each in found])
    assert found[0]["ci95"] == pytest.approx(1.96 * ratios.std().item(), rel=0.15)
