"""SVG on embeddings against torch.distributions and itself; Algorithm 3 on curves made by hand."""

import json

import pytest
import torch
from torch.distributions import Independent, Normal, kl_divergence

from world_models.checkpoint import CheckpointError, write_model
from world_models.layers import reparameterise
from world_models.svg.config import LatentSVGConfig
from world_models.svg.latent import LatentSVG
from world_models.svg.latent_training import SVGStage, svg_loss, train_svg
from world_models.svg.surprise import surprise_keyframes
from world_models.tap.config import TapConfig
from world_models.tap.model import Tap
from world_models.training import fit
from world_models.training.run import Session

CONFIG = LatentSVGConfig(embedding=8, latent=3, hidden=8)
STAGE = SVGStage(steps=2, batch=4, save_every=1, beta=0.1)


def model(seed=0):
    """A model whose weights are all non-zero, so that every path matters, and survive half precision."""
    svg = LatentSVG(CONFIG)
    rng = torch.Generator().manual_seed(seed)
    for parameter in svg.parameters():
        parameter.data = (0.3 * torch.randn(parameter.shape, generator=rng)).half().float()
    return svg.eval().requires_grad_(False)


def draw(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def on_the_sphere(*shape, seed=1):
    """Embeddings as an autoencoder makes them: mean 0 and variance 1."""
    return torch.nn.functional.layer_norm(draw(*shape, seed=seed), shape[-1:])


def predict(svg, frames, latents):
    return svg.predict(frames, latents, frames.new_zeros(*frames.shape[:2], 0))[0]


def sample(svg, seen, noise):
    still = seen.new_zeros(len(seen), seen.shape[1] - 1, 0)
    return svg.imagine(svg.observe(seen, still), noise, noise[..., :0])


def test_surprise_is_the_divergence_from_a_standard_normal():
    svg, frames = model(), on_the_sphere(2, 6, 8)
    mean, log_variance = svg.posterior(frames)
    found = Independent(Normal(mean, (0.5 * log_variance).exp()), 1)
    standard = Independent(Normal(torch.zeros_like(mean), 1.0), 1)
    assert mean.shape == (2, 5, 3)
    torch.testing.assert_close(svg.surprise(frames), kl_divergence(found, standard))


def test_surprise_at_a_time_knows_that_frame_and_no_later_one():
    svg, frames = model(), on_the_sphere(2, 6, 8)
    before = svg.surprise(frames)
    for t in range(1, 6):
        changed = frames.clone()
        changed[:, t] = frames[:, t].roll(1, dims=-1)
        after = svg.surprise(changed)
        assert torch.equal(after[:, : t - 1], before[:, : t - 1])
        assert (after[:, t - 1] != before[:, t - 1]).all()


def test_a_predicted_frame_depends_on_earlier_frames_and_its_latent_only():
    svg, frames, latents = model(), on_the_sphere(2, 5, 8), draw(2, 5, 3)
    before = predict(svg, frames, latents)
    for t in range(5):
        other, changed = frames.clone(), latents.clone()
        other[:, t] += 1.0
        changed[:, t] += 1.0
        for after in (predict(svg, other, latents), predict(svg, frames, changed)):
            assert torch.equal(after[:, :t], before[:, :t])
            assert all((after[:, later] != before[:, later]).any() for later in range(t, 5))


def test_predictions_are_embeddings():
    predicted = predict(model(), on_the_sphere(2, 5, 8), draw(2, 5, 3))
    torch.testing.assert_close(predicted.mean(-1), torch.zeros(2, 5), atol=1e-5, rtol=0.0)
    torch.testing.assert_close(predicted.var(-1, unbiased=False), torch.ones(2, 5), atol=1e-3, rtol=0.0)


@pytest.mark.parametrize("context", [1, 3])
def test_a_sample_is_what_predict_says_about_its_own_frames(context):
    svg, seen, noise = model(), on_the_sphere(2, context, 8), draw(2, 4, 3)
    sampled = sample(svg, seen, noise)
    frames = torch.cat([seen, sampled], dim=1)
    known = svg.posterior(seen)[0] if context > 1 else noise[:, :0]
    expected = predict(svg, frames[:, :-1], torch.cat([known, noise], dim=1))
    torch.testing.assert_close(sampled, expected[:, context - 1 :])


def test_rows_of_a_batch_are_independent():
    svg, frames, noise = model(), on_the_sphere(2, 4, 8), draw(2, 3, 3)
    for row in range(2):
        alone = slice(row, row + 1)
        torch.testing.assert_close(svg.surprise(frames[alone]), svg.surprise(frames)[alone])
        torch.testing.assert_close(
            sample(svg, frames[alone], noise[alone]), sample(svg, frames, noise)[alone]
        )


def test_the_loss_is_squared_error_and_weighted_divergence_per_step():
    svg, frames = model(), on_the_sphere(1, 5, 8)
    stage = SVGStage(steps=1, batch=2, beta=0.3)
    generator = torch.Generator().manual_seed(5)
    loss = svg_loss(svg, frames, None, stage, torch.device("cpu"), 0, generator)
    replay = torch.Generator().manual_seed(5)
    torch.randint(1, (2,), generator=replay)
    noise = torch.randn(2, 4, 3, generator=replay)
    posterior = svg.posterior(frames.expand(2, -1, -1))
    predicted = predict(svg, frames[:, :-1].expand(2, -1, -1), reparameterise(posterior, noise))
    error = sum((predicted[:, t] - frames[:, t + 1]).square().sum() for t in range(4)) / (2 * 4)
    torch.testing.assert_close(loss.total, error + 0.3 * svg.surprise(frames).mean())


def test_gradients_reach_every_part():
    svg = model().requires_grad_(True)
    generator = torch.Generator().manual_seed(0)
    svg_loss(svg, on_the_sphere(4, 5, 8), None, STAGE, torch.device("cpu"), 0, generator).total.backward()
    for name, parameter in svg.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        assert (parameter.grad != 0).any(), name


def test_interrupted_training_ends_with_the_same_weights(tmp_path, monkeypatch):
    frames, save = on_the_sphere(6, 5, 8).half(), fit.save_training
    finished, resumed = LatentSVG(CONFIG), LatentSVG(CONFIG)
    resumed.load_state_dict(finished.state_dict())
    start = {name: tensor.clone() for name, tensor in finished.state_dict().items()}
    (tmp_path / "whole").mkdir()
    train_svg(finished, frames, STAGE, Session(tmp_path / "whole", 0, torch.device("cpu")))

    def save_and_die(path, step, *rest):
        save(path, step, *rest)
        if step == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(fit, "save_training", save_and_die)
    session = Session(tmp_path / "killed", 0, torch.device("cpu"))
    session.folder.mkdir()
    with pytest.raises(KeyboardInterrupt):
        train_svg(resumed, frames, STAGE, session)
    fresh = LatentSVG(CONFIG)  # what a new process starts with does not matter
    train_svg(fresh, frames, STAGE, session)
    for name, tensor in finished.state_dict().items():
        assert torch.equal(tensor, fresh.state_dict()[name]), name
        assert not torch.equal(tensor, start[name]), name
    assert json.loads((session.folder / "log.jsonl").read_text())["stage"] == "svg"


def test_a_model_survives_the_disk_and_others_are_refused(tmp_path):
    svg, frames = model(), on_the_sphere(2, 4, 8)
    write_model(tmp_path / "svg", CONFIG, svg, "# SVG\n")
    assert torch.equal(LatentSVG.load(tmp_path / "svg").surprise(frames), svg.surprise(frames))
    config = TapConfig(embedding=8, latent=2, hidden=8)
    write_model(tmp_path / "tap", config, Tap(config), "# TAP\n")
    with pytest.raises(CheckpointError, match="is no LatentSVGConfig"):
        LatentSVG.load(tmp_path / "tap")


@pytest.mark.parametrize(
    ("surprise", "count", "times"),
    [
        # Peaks at 3, 6 and 8: the frames before them, the largest first to be taken.
        ([0, 1, 5, 1, 2, 9, 1, 4, 0], 3, [2, 5, 7]),
        ([0, 1, 5, 1, 2, 9, 1, 4, 0], 2, [2, 5]),
        ([0, 1, 5, 1, 2, 9, 1, 4, 0], 1, [5]),
        # A shoulder (8 beside 9) is no peak, however large.
        ([0, 1, 5, 0, 8, 9, 1, 0, 0], 2, [2, 5]),
        # Too few peaks: the largest others fill up.
        ([0, 1, 2, 3, 9, 4, 3, 2, 1], 3, [3, 4, 5]),
        ([0, 1, 5, 0, 8, 9, 1, 0, 0], 3, [2, 4, 5]),
        # The last time needs to beat one neighbour only.
        ([0, 1, 5, 1, 2, 3, 2, 3, 7], 2, [2, 8]),
        # The first surprise has no keyframe, but hides the second: no peak on a falling flank.
        ([9, 8, 1, 2, 1, 3, 1, 0, 0], 2, [3, 5]),
        # Equal neighbours are no peaks.
        ([0, 1, 5, 5, 2, 4, 1, 3, 0], 2, [5, 7]),
    ],
)
def test_algorithm_3(surprise, count, times):
    found = surprise_keyframes(torch.tensor([surprise, surprise[::-1]]).float(), count)
    assert found[0].tolist() == times
    assert found.dtype == torch.int64 and (found.diff(dim=1) > 0).all()


def test_keyframes_are_within_the_sequence_and_as_many_as_asked():
    found = surprise_keyframes(draw(50, 9), 8)
    assert torch.equal(found, torch.arange(1, 9).expand(50, -1))
    for count in (0, 9):
        with pytest.raises(ValueError, match=f"{count} keyframes were asked for, but 9 frames have 1 to 8"):
            surprise_keyframes(draw(2, 9), count)
