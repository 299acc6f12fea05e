"""KeyIn by the paper's means: its equations written out, and a training of seconds that lowers the loss."""

from itertools import product

import numpy as np
import pytest
import torch
from torch.nn.functional import one_hot

from world_models.data import Sequences, shard_path, write_shard
from world_models.interface import Context
from world_models.keyin import KeyIn
from world_models.keyin.config import KeyInConfig
from world_models.keyin.discovery.segmentation import holding_costs, segment_costs
from world_models.keyin.published.presets import PAPER_PRESETS
from world_models.keyin.published.stage import DiscoveryStage
from world_models.keyin.published.training import (
    discover,
    discovery_loss,
    expected_error,
    segment_loss,
    to_the_end,
    train_lstm_interpolator,
)
from world_models.keyin.recipe import KeyInRun
from world_models.keyin.reconstruction import imagine, reconstruct
from world_models.keyin.run import train_keyin
from world_models.training.fit import FitConfig
from world_models.training.run import Session

DEBUG = PAPER_PRESETS["keyin-paper-debug"][1]
CONFIG = DEBUG.model


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def model(seed=0, config=CONFIG):
    """A model whose weights are all non-zero, so that every path matters."""
    keyin, rng = KeyIn(config), generator(seed)
    for parameter in keyin.parameters():
        parameter.data = 0.3 * torch.randn(parameter.shape, generator=rng)
    return keyin.eval().requires_grad_(False)


def sequences(batch=2, seed=3):
    drawn = torch.randn(batch, CONFIG.context + CONFIG.frames, CONFIG.embedding, generator=generator(seed))
    return torch.nn.functional.layer_norm(drawn, drawn.shape[-1:])


def test_the_posterior_is_attention_by_equations_1_and_2():
    inference = model().predictor.inference
    keys, values = inference(sequences())
    query = torch.randn(2, CONFIG.embedding, generator=generator(5))
    mean, log_variance = inference.attend(query, keys, values, torch.zeros(2, keys.shape[1]))
    for row in range(2):
        weights = torch.stack([(query[row] @ key).exp() for key in keys[row]])
        pooled = sum(a * value for a, value in zip(weights, values[row], strict=True)) / weights.sum()
        torch.testing.assert_close(mean[row], pooled[: CONFIG.latent], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(log_variance[row], pooled[CONFIG.latent :], rtol=1e-4, atol=1e-5)


def test_location_draws_attention_to_where_the_keyframe_before_is():
    inference = model(config=CONFIG.model_copy(update={"location": True})).predictor.inference
    inference.location.data = torch.tensor(100.0)
    keys, values = inference(sequences())
    there = one_hot(torch.tensor([2, 4]), keys.shape[1]).float()
    mean, _ = inference.attend(torch.zeros(2, CONFIG.embedding), keys, values, there)
    torch.testing.assert_close(mean, values[torch.arange(2), [2, 4], : CONFIG.latent])


def test_decisions_of_known_sequences_see_later_frames_and_rows_are_independent():
    keyin, frames = model(), sequences()
    noise = torch.randn(2, CONFIG.keyframes, CONFIG.latent, generator=generator(1))
    both = keyin.infer(frames, noise)
    for row in range(2):
        alone = keyin.infer(frames[row : row + 1], noise[row : row + 1])
        torch.testing.assert_close(alone.embeddings[0], both.embeddings[row])
    changed = frames.clone()
    changed[:, -1] += 1.0
    assert (keyin.infer(changed, noise).kl != both.kl).all()


def test_it_is_a_world_model_whose_plans_can_be_composed():
    keyin = model()
    frames = torch.rand(2, CONFIG.context + CONFIG.frames, 3, 16, 16, generator=generator(2))
    state = keyin.encode(Context(frames[:, : CONFIG.context], torch.zeros(2, 0, 2)))
    noise = torch.randn(2, CONFIG.keyframes, CONFIG.latent, generator=generator(1))
    future = keyin.imagine(state, noise)
    for t in range(CONFIG.keyframes):
        other = noise.clone()
        other[:, t] += 1.0
        after = keyin.imagine(state, other).features
        assert torch.equal(after[:, :t], future.features[:, :t])
        assert (after[:, t] != future.features[:, t]).any()
    for found in (reconstruct(keyin, frames, generator()), imagine(keyin, frames[:, :1], generator())):
        assert found.embeddings.shape == (2, CONFIG.frames, CONFIG.embedding)
        assert found.embeddings.isfinite().all() and (found.times.diff(dim=1) >= 1).all()


def test_a_segment_depends_on_its_ends_its_length_and_its_latent():
    interpolator = model().interpolator
    start, end = sequences()[:, 0], sequences()[:, 1]
    offset = one_hot(torch.tensor([1, 2]), CONFIG.max_offset).float()
    latent = torch.ones(2, CONFIG.latent)
    known = interpolator(start, end, offset, latent)
    others = (
        interpolator(end, end, offset, latent),
        interpolator(start, start, offset, latent),
        interpolator(start, end, offset.flip(0), latent),
        interpolator(start, end, offset),
    )
    for other in others:
        assert (other != known).any(dim=-1).all()
    torch.testing.assert_close(interpolator(start, end, offset), interpolator(start, end, offset, 0 * latent))


def test_the_expected_error_is_that_of_all_offsets():
    """Every combination, a segment that would leave the sequence cut at its last frame."""
    keyin, known = model(), sequences()
    costs = to_the_end(segment_costs(keyin.interpolator, known, CONFIG.max_offset))
    logits = torch.randn(2, CONFIG.keyframes, CONFIG.max_offset, generator=generator(7))
    offsets = torch.softmax(logits, dim=-1)
    holding, last = holding_costs(known), known.shape[1] - 1
    for row in range(2):
        expected = torch.tensor(0.0)
        for steps in product(range(1, CONFIG.max_offset + 1), repeat=CONFIG.keyframes):
            chance = torch.stack([offsets[row, t, d - 1] for t, d in enumerate(steps)]).prod()
            time, error = 0, torch.tensor(0.0)
            for d in steps:
                if time >= last:
                    break
                error = error + costs[row, time, d - 1]
                assert costs[row, time, d - 1] == costs[row, time, min(d, last - time) - 1]
                time += d
            expected = expected + chance * (error + (holding[row, time] if time <= last else 0.0))
        torch.testing.assert_close(expected_error(known, offsets, costs)[row], expected, rtol=1e-4, atol=1e-3)


def test_gradients_reach_all_that_learns_in_the_second_stage():
    keyin = model().requires_grad_(True)
    keyin.interpolator.requires_grad_(False)
    stage = DiscoveryStage(steps=2, batch=4)
    discovery_loss(keyin, sequences(6), None, stage, torch.device("cpu"), 0, generator()).total.backward()
    for name, parameter in keyin.predictor.named_parameters():
        if name.startswith("conditioning.weight_hh"):
            continue  # one context frame is seen from a state of zeros
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        assert (parameter.grad != 0).any(), name


@pytest.mark.parametrize("segments", ["soft", "expected"])
def test_training_lowers_the_losses_of_both_stages(segments, tmp_path):
    """Sequences that stand still, jump and stand still: there is something to find."""
    points = torch.nn.functional.layer_norm(torch.randn(24, 2, 8, generator=generator(1)), (8,))
    turn = torch.randint(2, 5, (24,), generator=generator(2))
    later = (torch.arange(7) >= turn[:, None]).long()
    frames = points[torch.arange(24)[:, None], later]
    stage = DiscoveryStage(steps=150, batch=12, learning_rate=1e-2, segments=segments)
    recipe = DEBUG.model_copy(
        update={"interpolator": FitConfig(steps=150, batch=24, learning_rate=1e-2), "discovery": stage}
    )
    session = Session(tmp_path, 0, torch.device("cpu"))
    with session.initial_weights():
        keyin = KeyIn(CONFIG)

    def segment_error():
        return segment_loss(keyin.interpolator, frames, 24, session.device, 0, generator(9)).total.item()

    before = segment_error()
    train_lstm_interpolator(keyin, frames, recipe, session)
    assert segment_error() < 0.5 * before

    def error():
        losses = [
            discovery_loss(keyin, frames, None, stage, session.device, 149, generator(seed))
            for seed in range(8)
        ]
        return np.mean([loss.logs["key"].item() + 6 * loss.logs["inter"].item() for loss in losses])

    before = error()
    discover(keyin, frames, recipe, session)
    assert error() < 0.7 * before


def test_a_run_ends_with_a_model_that_says_what_it_is(tmp_path):
    rng = np.random.default_rng(0)
    frames = np.full((6, 7, 16, 16, 3), 200, np.uint8)
    for row, (x, y) in enumerate(rng.integers(0, 10, (6, 2))):
        for t in range(7):
            frames[row, t, y : y + 3, x + t // 3 : x + t // 3 + 3] = (237, 36, 222)
    keyframes = np.zeros((6, 7), bool)
    keyframes[:, 3] = True
    written = Sequences(frames, np.zeros((6, 6, 2), np.float32), keyframes, np.zeros((6, 7, 2), np.float32))
    write_shard(shard_path(tmp_path / "data", 0), written, {"seed": 0})
    run = KeyInRun(data=tmp_path / "data", out=tmp_path / "run", recipe=DEBUG)
    folder = train_keyin(run, "command")
    card = (folder / "card.md").read_text()
    assert "no teacher, no labels" in card and "Beyond the paper" not in card and "f1_exact" in card
    assert {"interpolator.safetensors", "discovery.safetensors"} <= {path.name for path in run.out.iterdir()}
    assert not (run.out / "teacher.npy").exists()
    assert KeyIn.load(folder).config.published


def test_settings_that_do_not_go_together_are_refused():
    with pytest.raises(ValueError, match="published models have no segmentation"):
        KeyInConfig(published=True)
    with pytest.raises(ValueError, match="location is for published models"):
        KeyInConfig(location=True)
    with pytest.raises(ValueError, match="discovery is for published models"):
        type(DEBUG).model_validate(DEBUG.model_dump() | {"discovery": None})
