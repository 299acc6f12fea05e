"""Algorithm 2 against the plain enumeration of all offset combinations."""

from itertools import product

import pytest
import torch

from world_models.keyin.discovery.soft_loss import advance, frame_times, keyframe_times, soft_loss

CASES = [
    (2, 3, 4),
    (3, 3, 5),
    (3, 4, 7),
    (2, 4, 9),
    (3, 3, 2),
]  # M, S, N; some sequences are short, some long


def example(keyframes, size, frames, seed=0, features=5):
    rng = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=rng, dtype=torch.float64)

    return {
        "frames": draw(2, frames, features),
        "keyframes": draw(2, keyframes, features),
        "offsets": torch.softmax(draw(2, keyframes, size), dim=-1),
        "segments": draw(2, keyframes, size, features),
        "kl": draw(2, keyframes).square(),
    }


def combinations(offsets):
    """All offset combinations of one sequence, with their probabilities."""
    keyframes, size = offsets.shape
    for steps in product(range(1, size + 1), repeat=keyframes):
        yield steps, torch.stack([offsets[t, d - 1] for t, d in enumerate(steps)]).prod()


def enumerate_loss(frames, keyframes, offsets, segments, kl):
    """Expectations by brute force: first keyframe times and frame owners, then the losses of eq. 3 and 4."""
    n, count = len(frames), len(keyframes)
    tau = torch.zeros(count, n + 1, dtype=frames.dtype)
    soft, mass = torch.zeros_like(frames), torch.zeros(n, dtype=frames.dtype)
    for steps, probability in combinations(offsets):
        time = 0
        for t, d in enumerate(steps):
            for i in range(1, d + 1):
                if time + i <= n:
                    soft[time + i - 1] += probability * segments[t, i - 1]
                    mass[time + i - 1] += probability
            time += d
            if time <= n:
                tau[t, time] += probability
    inside = tau.sum(-1)
    key = divergence = 0.0
    for t in range(count):
        target = sum(tau[t, j] * frames[j - 1] for j in range(1, n + 1)) / inside[t].clamp(min=1e-12)
        key += inside[t] * (keyframes[t] - target).square().sum()
        divergence += inside[t] * kl[t]
    reached = mass > 0
    soft[reached] /= mass[reached][:, None]
    inter = (frames - soft).square().sum(-1).mean()
    return key / inside.sum(), divergence / inside.sum(), inter, inside.sum(), tau


@pytest.mark.parametrize(("keyframes", "size", "frames"), CASES)
def test_losses_equal_the_enumeration(keyframes, size, frames):
    batch = example(keyframes, size, frames)
    found = soft_loss(**batch)
    for row in range(2):
        key, divergence, inter, used, _ = enumerate_loss(
            **{name: value[row] for name, value in batch.items()}
        )
        torch.testing.assert_close(found.keyframe[row], key, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(found.divergence[row], divergence, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(found.interpolation[row], inter, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(found.used[row], used)


@pytest.mark.parametrize(("keyframes", "size", "frames"), CASES)
def test_keyframe_times_equal_the_enumeration(keyframes, size, frames):
    batch = example(keyframes, size, frames)
    times = keyframe_times(batch["offsets"], frames)
    for row in range(2):
        *_, tau = enumerate_loss(**{name: value[row] for name, value in batch.items()})
        torch.testing.assert_close(times[row, 1:], tau)
    assert times[:, 0, 0].tolist() == [1.0, 1.0] and not times[:, 0, 1:].any()


@pytest.mark.parametrize(("keyframes", "size", "frames"), CASES)
def test_every_time_has_one_producer_until_the_last_keyframe(keyframes, size, frames):
    offsets = example(keyframes, size, frames)["offsets"]
    times = keyframe_times(offsets, frames)
    owned = frame_times(times, offsets)[..., 1:].sum((1, 2))
    for row in range(2):
        reached = torch.zeros(frames, dtype=offsets.dtype)
        for steps, probability in combinations(offsets[row]):
            reached[: sum(steps)] += probability
        torch.testing.assert_close(owned[row], reached)


def test_hard_offsets_give_the_plain_reconstruction_error():
    batch = example(3, 4, 7)
    steps = torch.tensor([2, 4, 1])
    batch["offsets"] = torch.nn.functional.one_hot(steps - 1, 4).double().expand(2, -1, -1)
    found = soft_loss(**batch)
    sequence = torch.cat([batch["segments"][:, t, :d] for t, d in enumerate(steps.tolist())], dim=1)
    error = (sequence - batch["frames"]).square().sum(-1).mean(-1)
    torch.testing.assert_close(found.interpolation, error, rtol=1e-4, atol=1e-4)
    targets = batch["frames"][:, steps.cumsum(0) - 1]
    torch.testing.assert_close(
        found.keyframe, (batch["keyframes"] - targets).square().sum(-1).mean(-1), rtol=1e-4, atol=1e-4
    )


def test_keyframes_beyond_the_sequence_are_free():
    batch = example(2, 4, 4)
    batch["offsets"] = torch.nn.functional.one_hot(torch.tensor([3, 3]), 4).double().expand(2, -1, -1)
    before = soft_loss(**batch)
    batch["keyframes"] = batch["keyframes"].clone()
    batch["keyframes"][:, 1] += 100.0
    after = soft_loss(**batch)
    torch.testing.assert_close(after.keyframe, before.keyframe)
    assert after.used.tolist() == [1.0, 1.0]


def test_advance_drops_what_leaves_the_end():
    location = torch.tensor([[0.0, 0.0, 1.0, 0.0]])
    assert advance(location, torch.tensor([[0.25, 0.75]])).tolist() == [[0.0, 0.0, 0.0, 0.25]]


def test_gradients_are_finite_even_for_unused_keyframes():
    batch = example(3, 3, 2)
    batch["offsets"].requires_grad_(True)
    found = soft_loss(**batch)
    (found.keyframe + found.interpolation + found.divergence).sum().backward()
    assert batch["offsets"].grad.isfinite().all()
