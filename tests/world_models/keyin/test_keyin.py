import dataclasses
from itertools import accumulate, product

import pytest
import torch

from world_models.interface import Context
from world_models.keyin import KeyIn, KeyInState
from world_models.keyin.config import Segmentation
from world_models.keyin.discovery.coding import coding_costs
from world_models.keyin.discovery.segmentation import holding_costs, segment_costs
from world_models.keyin.presets import KEYIN_DEBUG

CONFIG = KEYIN_DEBUG.model


def model(prior="learned", seed=0):
    """A model whose weights are all non-zero, so that every path matters."""
    keyin = KeyIn(CONFIG.model_copy(update={"prior": prior}))
    rng = torch.Generator().manual_seed(seed)
    for parameter in keyin.parameters():
        parameter.data = 0.3 * torch.randn(parameter.shape, generator=rng)
    return keyin.eval().requires_grad_(False)


def context(batch=2, steps=1, seed=0):
    frames = torch.rand(batch, steps, 3, 16, 16, generator=torch.Generator().manual_seed(seed))
    return Context(frames, torch.zeros(batch, steps - 1, 2))


def decisions(batch=2, seed=1):
    return torch.randn(batch, 3, CONFIG.latent, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("prior", ["standard", "learned"])
def test_rows_of_a_batch_are_independent(prior):
    keyin, seen, noise = model(prior), context(), decisions()
    both = keyin.imagine(keyin.encode(seen), noise)
    for row in range(2):
        alone = Context(seen.frames[row : row + 1], seen.actions[row : row + 1])
        single = keyin.imagine(keyin.encode(alone), noise[row : row + 1])
        torch.testing.assert_close(single.features[0], both.features[row])
        assert torch.equal(single.times[0], both.times[row])


@pytest.mark.parametrize("prior", ["standard", "learned"])
def test_decisions_change_their_keyframe_and_later_ones_only(prior):
    keyin = model(prior)
    state, noise = keyin.encode(context()), decisions()
    before = keyin.imagine(state, noise)
    for t in range(3):
        changed = noise.clone()
        changed[:, t] += 1.0
        after = keyin.imagine(state, changed)
        assert torch.equal(after.features[:, :t], before.features[:, :t])
        assert torch.equal(after.times[:, :t], before.times[:, :t])
        assert all((after.features[:, later] != before.features[:, later]).any() for later in range(t, 3))


def test_future_is_in_the_space_of_embeddings_and_times_increase():
    keyin = model()
    future = keyin.imagine(keyin.encode(context()), decisions())
    assert future.features.shape == (2, 3, CONFIG.embedding)
    assert keyin.embed(context().frames[:, 0]).shape == (2, CONFIG.embedding)
    assert future.features.mean(-1).abs().max() < 1e-5
    steps = torch.cat([torch.zeros(2, 1), future.times], dim=1).diff(dim=1)
    assert steps.min() >= 1 and steps.max() <= CONFIG.max_offset
    pictures = keyin.decode(future.features.flatten(0, 1))
    assert pictures.shape == (6, 3, 16, 16) and pictures.min() >= 0 and pictures.max() <= 1


def test_only_the_last_context_frame_counts():
    keyin, long = model(), context(steps=3)
    last = Context(long.frames[:, -1:], long.actions[:, :0])
    state, expected = keyin.encode(long), keyin.encode(last)
    for field in dataclasses.fields(KeyInState):
        tensor = getattr(state, field.name)
        assert tensor.shape[0] == 2
        assert torch.equal(tensor, getattr(expected, field.name))


def test_longer_contexts_are_used_whole():
    keyin = KeyIn(CONFIG.model_copy(update={"context": 3})).eval()
    long = context(steps=4)
    state = keyin.encode(long)
    for seen, same in ((Context(long.frames[:, 1:], long.actions[:, 1:]), True), (context(steps=3), False)):
        other = keyin.encode(seen)
        assert torch.equal(state.hidden, other.hidden) == same
    with pytest.raises(ValueError, match="3 context frames, got 2"):
        keyin.encode(context(steps=2))


def test_composition_fills_between_keyframes_and_holds_the_last():
    keyin = model()
    rng = torch.Generator().manual_seed(4)
    first, keyframes = (torch.randn(*shape, CONFIG.embedding, generator=rng) for shape in ((2,), (2, 3)))
    offsets = torch.tensor([[1, 2, 1], [3, 2, 3]])
    composed = keyin.compose(first, keyframes, offsets)
    assert composed.shape == (2, CONFIG.frames, CONFIG.embedding)

    def segment(start, end, length):
        return keyin.interpolator(start[None], end[None], torch.eye(CONFIG.max_offset)[length - 1][None])[0]

    torch.testing.assert_close(composed[0, :1], segment(first[0], keyframes[0, 0], 1)[:1])
    torch.testing.assert_close(composed[0, 1:3], segment(keyframes[0, 0], keyframes[0, 1], 2)[:2])
    torch.testing.assert_close(composed[0, 4:], keyframes[0, -1:].expand(2, -1))
    torch.testing.assert_close(composed[1, :3], segment(first[1], keyframes[1, 0], 3)[:3])
    torch.testing.assert_close(composed[1, 5:], segment(keyframes[1, 1], keyframes[1, 2], 3)[:1])


def test_states_can_be_repeated_and_indexed_like_batches():
    keyin = model()
    state = keyin.encode(context())
    wide = KeyInState(*(getattr(state, field.name)[[1, 1, 0]] for field in dataclasses.fields(KeyInState)))
    future = keyin.imagine(wide, decisions()[[1, 1, 0]])
    expected = keyin.imagine(state, decisions())
    torch.testing.assert_close(future.features, expected.features[[1, 1, 0]])


def test_learned_decisions_are_scaled_by_the_prior():
    """imagine(eps) must equal stepping with z = mean + std * eps."""
    keyin = model()
    state, noise = keyin.encode(context()), decisions()
    lstm = tuple(t.transpose(0, 1).contiguous() for t in (state.hidden, state.cell))
    left = keyin.predictor.left(torch.ones(2, dtype=torch.long))
    past = keyin.predictor.past(lstm, state.embedding, left)
    mean, log_variance = keyin.predictor.prior(past)
    assert mean.abs().max() > 0 and log_variance.abs().max() > 0
    _, first, _ = keyin.predictor.step(
        lstm, state.embedding, left, mean + (log_variance / 2).exp() * noise[:, 0]
    )
    # Where the CPU has bfloat16, imagine() uses it and this test does not.
    torch.testing.assert_close(keyin.imagine(state, noise).features[:, 0], first, rtol=0.0, atol=0.03)


OFFSETS = torch.tensor([[1, 2, 3], [2, 2, 0]])


def sequences(batch=2):
    rng = torch.Generator().manual_seed(3)
    return torch.randn(batch, CONFIG.frames + 1, CONFIG.embedding, generator=rng)


def test_posterior_sees_its_keyframe_and_when_it_comes():
    keyin, frames, noise = model(), sequences(), decisions()
    before = keyin.predictor.infer(frames, OFFSETS, noise)
    for time, seen in ((1, True), (2, False), (6, False)):
        other = frames.clone()
        other[0, time] += 1.0
        after = keyin.predictor.infer(other, OFFSETS, noise)
        assert (after.embeddings[0, 0] != before.embeddings[0, 0]).any() == seen
    later = keyin.predictor.infer(frames, OFFSETS + torch.tensor([[1, 0, 0], [0, 0, 0]]), noise)
    assert (later.embeddings[0, 0] != before.embeddings[0, 0]).any()
    assert before.kl.shape == (2, CONFIG.keyframes) and (before.kl > 0).all()


def test_segmentation_is_the_cheapest_by_all_its_parts():
    """Inferred offsets must be those of brute force over costs put together by hand."""
    settings = Segmentation(floor=0.4, coding=0.5, coding_beta=2.0, timing=0.3, delay=0.2, price=0.1)
    keyin = KeyIn(CONFIG.model_copy(update={"segmentation": settings})).eval().requires_grad_(False)
    keyin.timing.uniform_(0.0, 5.0, generator=torch.Generator().manual_seed(1))
    frames = sequences()
    found = keyin.segment(frames)
    errors = segment_costs(keyin.interpolator, frames, CONFIG.max_offset)
    interpolation = (1.0 + errors / 0.4).log()
    coding = coding_costs(keyin.coder, frames, CONFIG.max_offset, 2.0)
    held = holding_costs(frames)
    for row in range(2):
        totals = {}
        for steps in product(range(1, CONFIG.max_offset + 1), repeat=CONFIG.keyframes):
            times = [0, *accumulate(steps)]
            if times[-1] <= CONFIG.frames:
                parts = [
                    interpolation[row, j, d - 1]
                    + 0.5 * coding[row, j, d - 1]
                    + 0.3 * keyin.timing[j, d - 1]
                    + 0.2 * (j + d)
                    + 0.1
                    for j, d in zip(times, steps, strict=False)
                ]
                totals[steps] = float(sum(parts) + held[row, times[-1]])
        assert totals[tuple(found[row].tolist())] == pytest.approx(min(totals.values()), rel=0.02)
    unknown = KeyIn(CONFIG.model_copy(update={"segmentation": None}))
    with pytest.raises(ValueError, match="do not follow"):
        unknown.segment(frames)


def test_gradients_reach_every_trained_part():
    keyin = model().requires_grad_(True)
    found = keyin.predictor.infer(sequences(), OFFSETS, decisions())
    (found.embeddings.square().sum() + found.offset_logits.square().sum() + found.kl.sum()).backward()
    for name, parameter in keyin.predictor.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
