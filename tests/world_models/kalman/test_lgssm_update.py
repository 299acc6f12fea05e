"""Filtering as observations come, judged by the filter for whole sequences."""

from dataclasses import replace

import torch

from tests.world_models.kalman.test_lgssm import DOUBLE, T, V, covariances, random_model
from world_models.kalman.lgssm.filter import kalman_filter, predict, update


def test_step_by_step_it_is_the_same_filter():
    rng = torch.Generator().manual_seed(7)
    model = random_model(rng)
    observations = torch.randn(5, 2, T, V, dtype=DOUBLE, generator=rng)
    whole = kalman_filter(model, observations)
    belief = model.start(5, 2)
    for t in range(T):
        belief, log_likelihood = update(model, belief, observations[:, :, t])
        for name in ("log_weights", "means", "covariances"):
            expected = getattr(whole.filtered.at(t), name)
            found = getattr(belief, name)
            torch.testing.assert_close(found, expected.expand_as(found), rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(log_likelihood, whole.log_likelihood[..., t], rtol=1e-9, atol=1e-9)
        belief = predict(model, belief, 1).at(0)


def test_doubt_is_noise_of_one_row_only():
    rng = torch.Generator().manual_seed(8)
    model = random_model(rng)
    values = torch.randn(2, V, dtype=DOUBLE, generator=rng)
    doubt = torch.stack([torch.zeros(V, V, dtype=DOUBLE), covariances(rng, V)])
    found, likelihood = update(model, model.start(2), values, doubt)
    for row in range(2):
        noisier = replace(model, observation_noise=model.observation_noise + doubt[row])
        expected, own = update(noisier, model.start(1), values[row : row + 1])
        for name in ("log_weights", "means", "covariances"):
            torch.testing.assert_close(getattr(found, name)[row : row + 1], getattr(expected, name))
        torch.testing.assert_close(likelihood[row : row + 1], own)
