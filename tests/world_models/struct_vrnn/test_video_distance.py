"""The distance between distributions of videos: closed forms, and painted videos that are right or wrong."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from world_models.struct_vrnn.evaluation import video_distance as module
from world_models.struct_vrnn.evaluation.video_distance import frechet_distance, judge_of, video_distance
from world_models.struct_vrnn.model import StructVRNN
from world_models.struct_vrnn.presets import DEBUG, DMC_TASKS


def test_the_distance_is_that_of_the_fitted_gaussians():
    rng = np.random.default_rng(0)
    one = rng.normal(size=(300, 4)) @ rng.normal(size=(4, 4))
    other = 1.0 + rng.normal(size=(200, 4)) @ rng.normal(size=(4, 4))
    spreads = [np.cov(part.T) for part in (one, other)]
    means = np.square(one.mean(0) - other.mean(0)).sum()
    dense = means + np.trace(spreads[0] + spreads[1] - 2 * sqrtm(spreads[0] @ spreads[1]).real)
    assert frechet_distance(one, other) == pytest.approx(dense)


def test_it_is_zero_for_the_same_videos_and_grows_with_shift_and_spread():
    one = np.random.default_rng(0).normal(size=(20, 50))  # fewer videos than features
    assert frechet_distance(one, one[::-1]) == pytest.approx(0.0, abs=1e-9)
    assert frechet_distance(one, one + 0.5) == pytest.approx(50 * 0.25)
    wider = one.mean(0) + 2.0 * (one - one.mean(0))
    assert frechet_distance(one, wider) == pytest.approx(np.square(one - one.mean(0)).sum() / 19)
    with pytest.raises(ValueError, match="2 at least"):
        frechet_distance(one[:1], one)


def test_every_task_has_a_judge_that_ships_and_is_none_of_the_arms():
    assert all(judge_of(task) not in (None, "struct-vrnn-dmc") for task in DMC_TASKS)
    assert judge_of("juggling") is None


def test_true_pictures_are_nearer_than_others(monkeypatch):
    """A painter that hides pictures in its features: what it paints is what it is told."""
    torch.set_num_threads(1)
    frames = np.random.default_rng(0).integers(0, 256, (12, 6, 16, 16, 3), np.uint8)
    actions = torch.randn(12, 5, 2, generator=torch.Generator().manual_seed(0))
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(torch.Generator().manual_seed(0).get_state())
        judge = StructVRNN(DEBUG.model).eval()
    true = torch.from_numpy(frames[:, 3:]).movedim(-1, 2).flatten(2) / 255.0

    class Painter(StructVRNN):
        def decode(self, features, reference):
            return features.unflatten(-1, (3, 16, 16))

    painter, futures = Painter(DEBUG.model).eval(), torch.stack([true, true], 1)
    mixed = torch.cat([futures[:, :1], 0.2 * futures[:, :1]], 1)
    near = video_distance(judge, painter, frames, actions, futures)
    far = video_distance(judge, painter, frames, actions, 0.2 * futures)
    assert near == pytest.approx(0.0, abs=1e-9) and far > 1e-5
    between = video_distance(judge, painter, frames, actions, mixed)
    assert near < between < far
    monkeypatch.setattr(module, "SETS", 1)
    alone = video_distance(judge, painter, frames, actions, mixed)
    assert alone == pytest.approx(near, abs=1e-9)
