"""What every kind of SVG promises as a world model of pictures; weights are random and all non-zero."""

import dataclasses

import pytest
import torch
from torch.distributions import Independent, Normal, kl_divergence

from world_models.checkpoint import CheckpointError, write_model
from world_models.interface import Context
from world_models.svg import SVG, LatentSVG, LatentSVGConfig, SVGConfig
from world_models.svg.presets import DEBUG

SEEN, AHEAD = 3, 4
KINDS = {
    "learned": ("learned", 3, 0),
    "fixed": ("fixed", 3, 0),
    "none": ("none", 0, 0),
    "learned driven": ("learned", 3, 2),
    "none driven": ("none", 0, 2),
}
"""Prior, size of the latent, actuators."""


def build(prior, latent, actions, seed=0):
    sizes = DEBUG.model.recurrent.model_copy(update={"prior": prior, "latent": latent, "actions": actions})
    model = SVG(DEBUG.model.model_copy(update={"recurrent": sizes}))
    rng = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.data = (0.4 * torch.randn(parameter.shape, generator=rng)).half().float()
    return model.eval().requires_grad_(False)


@pytest.fixture(params=KINDS)
def model(request):
    return build(*KINDS[request.param])


deciding = pytest.mark.parametrize(
    "model", [k for k, sizes in KINDS.items() if any(sizes[1:])], indirect=True
)
stochastic = pytest.mark.parametrize("model", ["learned", "fixed", "learned driven"], indirect=True)


def draw(*shape, seed=1):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def context(model, batch=2):
    return Context(draw(batch, SEEN, 1, 16, 16), draw(batch, SEEN - 1, model.config.actions, seed=2))


def decisions(model, batch=2):
    return draw(batch, AHEAD, model.decision_dim, seed=3) * 4 - 2


def tensors(value):
    """All tensors of nested dataclasses."""
    if isinstance(value, torch.Tensor):
        return [value]
    return [tensor for field in dataclasses.fields(value) for tensor in tensors(getattr(value, field.name))]


def test_rows_of_a_batch_are_independent(model):
    seen, chosen = context(model), decisions(model)
    state = model.encode(seen)
    future = model.imagine(state, chosen)
    pictures = model.decode(future.features[:, -1], state.skips)
    assert all(len(tensor) == 2 for tensor in tensors(state))
    for row in range(2):
        one = slice(row, row + 1)
        alone = model.encode(Context(seen.frames[one], seen.actions[one]))
        single = model.imagine(alone, chosen[one])
        own = model.decode(single.features[:, -1], alone.skips)
        expected = [*(tensor[one] for tensor in tensors(state)), future.features[one], pictures[one]]
        for mine, theirs in zip([*tensors(alone), single.features, own], expected, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-5)


def test_a_row_does_not_notice_what_the_others_are(model):
    seen, chosen = context(model), decisions(model)
    frames = seen.frames.clone()
    frames[1] = 1.0 - frames[1]
    before = model.imagine(model.encode(seen), chosen).features
    after = model.imagine(model.encode(Context(frames, seen.actions)), chosen).features
    assert torch.equal(after[0], before[0])
    assert (after[1] != before[1]).any()


@deciding
def test_a_decision_changes_its_frame_and_later_ones_only(model):
    state, chosen = model.encode(context(model)), decisions(model)
    before = model.imagine(state, chosen).features
    for part in range(model.decision_dim):
        for t in range(AHEAD):
            changed = chosen.clone()
            changed[:, t, part] += 0.5
            after = model.imagine(state, changed).features
            assert torch.equal(after[:, :t], before[:, :t])
            assert (after[:, t:] != before[:, t:]).any(-1).all()


def test_the_same_arguments_give_the_same_answer_and_times_are_steps(model):
    seen, chosen = context(model), decisions(model)
    first, again = (model.imagine(model.encode(seen), chosen) for _ in range(2))
    assert torch.equal(first.features, again.features)
    assert torch.equal(first.times, torch.tensor([[1.0, 2.0, 3.0, 4.0]] * 2))
    with pytest.raises(ValueError, match=f"this model takes {model.decision_dim}: "):
        model.imagine(model.encode(seen), draw(2, AHEAD, model.decision_dim + 1))


def test_a_sample_is_the_decoded_roll_out_with_skips_of_the_last_true_frame(model):
    seen, chosen = context(model), decisions(model)
    noise, acted = chosen.split([model.config.latent, model.config.actions], dim=-1)
    driven = torch.cat([seen.actions, acted], dim=1) if model.config.actions else None
    sampled = model.sample(seen.frames, noise, driven)
    features = model.imagine(model.encode(seen), chosen).features
    assert sampled.shape == (2, AHEAD, 1, 16, 16) and 0.0 <= sampled.min() <= sampled.max() <= 1.0
    for step in range(AHEAD):
        expected = model.decode(features[:, step], model.skips(seen.frames[:, -1]))
        torch.testing.assert_close(sampled[:, step], expected)
    assert (model.decode(features[:, 0], model.skips(seen.frames[:, 0])) != sampled[:, 0]).any()
    assert model.decode(features[:, 0]).shape == (2, 1, 16, 16)


def test_samples_of_one_video_share_its_skips(model):
    """Rows of one video in a row: the same pictures as with skips repeated for each of them."""
    seen, chosen = context(model), decisions(model).repeat_interleave(3, 0)
    chosen[1:3] += 0.5
    state = model.encode(seen)
    many = state.repeat(3)
    features = model.imagine(many, chosen).features[:, -1]
    torch.testing.assert_close(model.decode(features, state.skips), model.decode(features, many.skips))


def test_embeddings_have_mean_zero_and_variance_one(model):
    embeddings = model.embed(draw(5, 1, 16, 16))
    torch.testing.assert_close(embeddings.mean(-1), torch.zeros(5), atol=1e-5, rtol=0)
    torch.testing.assert_close(embeddings.var(-1, unbiased=False), torch.ones(5), atol=1e-2, rtol=0)


@stochastic
def test_the_prior_knows_earlier_frames_only_and_surprise_is_the_divergence_from_it(model):
    seen = context(model)
    embeddings = model.embed_videos(seen.frames)
    mean, log_variance = model.dynamics.posterior(embeddings)
    (expected, log_spread), _ = model.dynamics.prior(embeddings[:, :-1], seen.actions)
    found = Independent(Normal(mean, (0.5 * log_variance).exp()), 1)
    prior = Independent(Normal(expected, (0.5 * log_spread).exp()), 1)
    torch.testing.assert_close(model.surprise(seen.frames, seen.actions), kl_divergence(found, prior))
    spread = model.prior_spread(seen.frames, seen.actions)
    torch.testing.assert_close(spread, (0.5 * log_spread).exp())
    frames = seen.frames.clone()
    frames[:, 1] = 1.0 - frames[:, 1]
    changed = model.prior_spread(frames, seen.actions)
    assert torch.equal(changed[:, 0], spread[:, 0])
    assert ((changed[:, 1] != spread[:, 1]).any() == (model.config.prior == "learned")).all()


def test_a_fixed_prior_is_standard_normal():
    model = build(*KINDS["fixed"])
    assert torch.equal(model.prior_spread(context(model).frames), torch.ones(2, SEEN - 1, 3))


def test_a_deterministic_model_says_that_it_cannot_be_surprised():
    model = build(*KINDS["none"])
    with pytest.raises(ValueError, match="learned or fixed"):
        model.surprise(context(model).frames)


def test_missing_actions_are_named():
    model = build(*KINDS["learned driven"])
    with pytest.raises(ValueError, match=r"needs actions of shape \(2, 6, 2\), got none"):
        model.sample(context(model).frames, draw(2, AHEAD, 3))


def test_a_model_survives_the_disk_and_others_are_refused(model, tmp_path):
    seen, chosen = context(model), decisions(model)
    write_model(tmp_path / "svg", model.config, model, "# SVG\n")
    again = SVG.load(tmp_path / "svg")
    future = model.imagine(model.encode(seen), chosen).features
    assert torch.equal(again.imagine(again.encode(seen), chosen).features, future)
    config = LatentSVGConfig(embedding=8, hidden=8)
    write_model(tmp_path / "other", config, LatentSVG(config), "# other\n")
    with pytest.raises(CheckpointError, match="is no SVGConfig"):
        SVG.load(tmp_path / "other")


@pytest.mark.parametrize(("prior", "latent"), [("none", 3), ("learned", 0), ("fixed", 0)])
def test_latents_and_priors_go_together(prior, latent):
    with pytest.raises(ValueError, match="latent must be 0 where prior is 'none'"):
        LatentSVGConfig(prior=prior, latent=latent)


def test_sizes_that_fit_no_picture_are_refused():
    with pytest.raises(ValueError, match="multiple of 8"):
        SVGConfig(image_size=20)
