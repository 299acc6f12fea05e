"""Objectives of Struct-VRNN against brute force."""

import math

import pytest
import torch

from world_models.layers import reparameterise
from world_models.losses import gaussian_kl
from world_models.struct_vrnn.dynamics import KeypointDynamics
from world_models.struct_vrnn.losses import Sampling, separation_loss, sequence_loss
from world_models.struct_vrnn.presets import DEBUG

CONFIG = DEBUG.model
BATCH, OBSERVED, FRAMES = 3, 3, 5


def build(**update):
    dynamics = KeypointDynamics(CONFIG.model_copy(update=update))
    rng = torch.Generator().manual_seed(0)
    for parameter in dynamics.parameters():
        parameter.data = 0.3 * torch.randn(parameter.shape, generator=rng)
    return dynamics


def sequences(seed=1):
    rng = torch.Generator().manual_seed(seed)
    features = torch.randn(BATCH, FRAMES, CONFIG.features, generator=rng)
    return features, torch.randn(BATCH, FRAMES - 1, 2 * CONFIG.actions, generator=rng)


def evaluate(dynamics, features, actions, *, samples=4, own_seen=0.0, own_future=0.0, seed=2):
    sampling = Sampling(OBSERVED, samples, own_seen, own_future)
    return sequence_loss(dynamics, features, actions, sampling, torch.Generator().manual_seed(seed))


def test_separation_is_the_double_loop_of_equation_5():
    features = 0.2 * torch.randn(2, 4, 9, generator=torch.Generator().manual_seed(0))
    total = 0.0
    for row in features.unflatten(-1, (3, 3))[..., :2].tolist():
        for k in range(3):
            for other in range(3):
                if k != other:
                    distance = 0.0
                    for t in range(4):
                        for axis in range(2):
                            means = [sum(frame[j][axis] for frame in row) / 4 for j in (k, other)]
                            move = (row[t][k][axis] - means[0]) - (row[t][other][axis] - means[1])
                            distance += move**2 / 4
                    total += math.exp(-distance / (2 * 0.1**2)) / 2
    assert separation_loss(features, 0.1).item() == pytest.approx(total, rel=1e-4)


def test_separation_is_about_moving_together_not_about_places():
    path = torch.zeros(1, 4, 2, 3)
    path[0, :, :, 0] = torch.linspace(0.0, 0.6, 4)[:, None]
    path[0, :, 1, 1] = 0.9  # far away, but with the first all the time
    assert separation_loss(path.flatten(2), 0.1).item() == pytest.approx(2.0)
    path[0, :, 1, 0] *= -1.0
    assert separation_loss(path.flatten(2), 0.1).item() < 1e-3


def brute_force(dynamics, features, actions, samples, fed_own, seed=2):
    """Equations 6 to 8, one row, one sample at a time; the noise is drawn in the order of the frames."""
    rng = torch.Generator().manual_seed(seed)
    hidden = torch.zeros(BATCH, CONFIG.hidden)
    before = torch.zeros(BATCH, CONFIG.features)
    errors, kls = [], []
    for t in range(FRAMES):
        action = actions[:, t - 1] if t else torch.zeros(BATCH, 2 * CONFIG.actions)
        known = torch.cat([hidden, before, action], -1)
        prior = dynamics.prior_head(known)
        gaussian = prior
        if t < OBSERVED:
            gaussian = dynamics.posterior_head(torch.cat([known, features[:, t]], -1))
            kls.append(gaussian_kl(gaussian, prior).mean())
        draws = torch.randn(samples, BATCH, CONFIG.latent, generator=rng)
        torch.rand((), generator=rng)  # the coin of scheduled sampling
        best, latents = [], []
        for row in range(BATCH):
            tries = []
            for draw in draws[:, row]:
                latent = reparameterise((gaussian[0][row], gaussian[1][row]), draw)
                frame = before[row] + dynamics.decoder(torch.cat([known[row], latent]))
                tries.append((float((frame - features[row, t]).square().sum()), latent, frame))
            error, latent, frame = min(tries, key=lambda one: one[0])
            errors.append((t, error / 2))
            latents.append(latent)
            best.append(frame)
        direct = dynamics.config.seen_input == "detected" and t < OBSERVED
        before = torch.stack(best) if fed_own and not direct else features[:, t]
        hidden = dynamics.gru(torch.cat([before, torch.stack(latents), action], -1), hidden)
    seen = [error for t, error in errors if t < OBSERVED]
    future = [error for t, error in errors if t >= OBSERVED]
    return sum(seen) / len(seen), sum(future) / len(future), float(sum(kls) / len(kls))


@pytest.mark.parametrize("samples", [1, 4])
@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("seen_input", ["decoded", "detected"])
def test_losses_are_those_of_brute_force(samples, own, seen_input):
    """Teacher forcing with ``own`` 0, own predictions alone with 1; the best of the samples counts."""
    dynamics, (features, actions) = build(seen_input=seen_input).requires_grad_(False), sequences()
    share = float(own)
    found = evaluate(dynamics, features, actions, samples=samples, own_seen=share, own_future=share)
    expected = brute_force(dynamics, features, actions, samples, own)
    assert (found.seen.item(), found.future.item(), found.kl.item()) == pytest.approx(expected, rel=1e-4)


def test_samples_are_decoded_as_one_by_one():
    dynamics, (features, actions) = build().requires_grad_(False), sequences()
    belief = dynamics.observe(features, actions).last
    known = dynamics.known(belief, actions[:, 0])
    latents = torch.randn(7, BATCH, CONFIG.latent, generator=torch.Generator().manual_seed(3))
    together = dynamics.decode_samples(belief, known, latents)
    single = torch.stack([dynamics.decode(belief, known, latent) for latent in latents])
    torch.testing.assert_close(together, single, rtol=1e-5, atol=1e-5)


def test_the_prior_learns_from_seen_frames_only():
    dynamics, (features, actions) = build(), sequences()
    losses = evaluate(dynamics, features, actions, own_seen=1.0, own_future=1.0)
    prior = list(dynamics.prior_head.parameters())
    for loss in (losses.seen, losses.future):
        found = torch.autograd.grad(loss, prior, retain_graph=True, allow_unused=True)
        assert all(gradient is None for gradient in found)
    assert all((gradient != 0).any() for gradient in torch.autograd.grad(losses.kl, prior))


@pytest.mark.parametrize("own", [0.0, 1.0])
def test_struct_rnn_is_fed_seen_frames_and_has_no_kl(own):
    dynamics, (features, actions) = build(stochastic=False).requires_grad_(False), sequences()
    losses = evaluate(dynamics, features, actions, own_seen=own, own_future=own)
    hidden, before = torch.zeros(BATCH, CONFIG.hidden), torch.zeros(BATCH, CONFIG.features)
    errors = []
    for t in range(FRAMES):
        action = actions[:, t - 1] if t else torch.zeros(BATCH, 2 * CONFIG.actions)
        frame = before + dynamics.decoder(torch.cat([hidden, before, action], -1))
        errors.append(0.5 * (frame - features[:, t]).square().sum(-1).mean().item())
        before = frame if own and t >= OBSERVED else features[:, t]
        hidden = dynamics.gru(torch.cat([before, action], -1), hidden)
    assert losses.kl == 0.0
    assert losses.seen.item() == pytest.approx(sum(errors[:OBSERVED]) / OBSERVED, rel=1e-4)
    assert losses.future.item() == pytest.approx(sum(errors[OBSERVED:]) / (FRAMES - OBSERVED), rel=1e-4)


@pytest.mark.parametrize("stochastic", [True, False])
@pytest.mark.parametrize("half", [False, True])
def test_gradients_reach_every_part(stochastic, half):
    """In bfloat16 as well, although the samples are scored without gradients with the same weights."""
    dynamics, (features, actions) = build(stochastic=stochastic), sequences()
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        losses = evaluate(dynamics, features, actions, own_seen=1.0, own_future=1.0)
        total = losses.seen + losses.future + losses.kl
    total.backward()
    for name, parameter in dynamics.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        assert (parameter.grad != 0).any(), name


def test_one_coin_is_flipped_for_a_whole_batch():
    """Scheduled sampling in between: every frame is fed as it is seen or as it is predicted."""
    dynamics, (features, actions) = build(stochastic=False).requires_grad_(False), sequences()
    found = {
        round(evaluate(dynamics, features, actions, own_future=0.5, seed=seed).future.item(), 4)
        for seed in range(20)
    }
    # Only the first of the two predicted frames is fed to another one.
    ends = [evaluate(dynamics, features, actions, own_future=own).future.item() for own in (0.0, 1.0)]
    assert found == {round(end, 4) for end in ends} and len(found) == 2
