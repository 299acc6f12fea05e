"""Queries of a Kalman model, judged by the state-space model's own answers and by direct simulation."""

import pytest
import torch

from tests.world_models.kalman.test_kalman_model import random_model, squares
from world_models.kalman.lgssm.filter import kalman_filter, rts_smoother
from world_models.kalman.queries import filtered, generate, interpolate

OBJECTS = 2


@pytest.fixture(scope="module")
def model():
    return random_model(seed=4)


@pytest.fixture(scope="module")
def run(model):
    """The filter on what is inferred from four frames."""
    frames = squares(steps=4)
    places = model.infer(frames, OBJECTS).means
    return kalman_filter(model.dynamics(), model.track(frames, places))


def test_filtered_positions_are_the_filters_in_pixels(model, run):
    tracks = filtered(model, squares(steps=4), OBJECTS)
    mean, covariance = run.filtered.moments()
    torch.testing.assert_close(tracks.means, model.to_pixels(mean[..., :2]))
    spread = model.spread_to_pixels(covariance[..., :2, :2])
    torch.testing.assert_close(tracks.covariances, spread)
    assert tracks.frames.shape == (2, 4, 1, 12, 12)
    drawn = model.draw(mean[:, :, 3, :2])
    torch.testing.assert_close(tracks.frames[:, 3], drawn)


def test_generation_rolls_the_likeliest_component_on(model, run):
    tracks = generate(model, squares(steps=4), OBJECTS, 3)
    dynamics = model.dynamics()
    mean, covariance = run.filtered.at(-1).most_likely()
    for step in range(3):
        mean = mean @ dynamics.transition.mT + dynamics.force
        covariance = dynamics.transition @ covariance @ dynamics.transition.mT + dynamics.process_noise
        torch.testing.assert_close(tracks.means[:, :, step], model.to_pixels(mean[..., :2]))
        spread = model.spread_to_pixels(covariance[..., :2, :2])
        torch.testing.assert_close(tracks.covariances[:, :, step], spread)
        torch.testing.assert_close(tracks.frames[:, step], model.draw(mean[..., :2]))


def test_interpolation_is_the_smoother_with_the_middle_missing(model):
    frames = squares(steps=6)
    before, after = frames[:, :2], frames[:, 4:]
    tracks = interpolate(model, before, after, OBJECTS, 2)
    first = model.infer(before, OBJECTS)
    between = model.infer(generate(model, before, OBJECTS, 2).frames, OBJECTS, first.state)
    last = model.infer(after, OBJECTS, model.unseen(first.state, 2, between.state))
    means = torch.cat([first.means, between.means, last.means], dim=2)
    # What was inferred in the middle must not matter.
    means[:, :, 2:4] = torch.nan
    observed = torch.tensor([True, True, False, False, True, True])
    means = model.track(torch.cat([before, after], dim=1), means, observed)
    smoothed = rts_smoother(model.dynamics(), kalman_filter(model.dynamics(), means, observed))
    mean, covariance = smoothed.most_likely()
    torch.testing.assert_close(tracks.means, model.to_pixels(mean[:, :, 2:4, :2]))
    torch.testing.assert_close(tracks.covariances, model.spread_to_pixels(covariance[:, :, 2:4, :2, :2]))
    assert tracks.frames.shape == (2, 2, 1, 12, 12)


def test_later_frames_narrow_the_forecast(model):
    frames = squares(steps=8)
    ahead = generate(model, frames[:, :2], OBJECTS, 4)
    between = interpolate(model, frames[:, :2], frames[:, 6:], OBJECTS, 4)
    narrowed = torch.linalg.eigvalsh(ahead.covariances[:, :, -1] - between.covariances[:, :, -1])
    assert (narrowed > 0).all()


def test_rows_do_not_influence_each_other(model):
    frames = squares(steps=6)
    for ask in (
        lambda f: filtered(model, f, OBJECTS),
        lambda f: generate(model, f[:, :3], OBJECTS, 2),
        lambda f: interpolate(model, f[:, :2], f[:, 4:], OBJECTS, 2),
    ):
        both, alone = ask(frames), ask(frames[1:])
        for name in ("means", "covariances", "frames"):
            torch.testing.assert_close(getattr(both, name)[1:], getattr(alone, name), rtol=1e-3, atol=1e-3)


def test_bad_input_is_named(model):
    with pytest.raises(ValueError, match="steps must be at least 1"):
        generate(model, squares(), OBJECTS, 0)
    with pytest.raises(ValueError, match="steps must be at least 1"):
        interpolate(model, squares(), squares(), OBJECTS, 0)
    with pytest.raises(ValueError, match="objects must be 1 to 3"):
        filtered(model, squares(), 7)
