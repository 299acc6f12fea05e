"""SVG trained as published: the bound on pixels, frames encoded again, a training of seconds."""

import json

import pytest
import torch

from tests.world_models.svg.test_svg_training import write_videos
from world_models.interface import Context
from world_models.losses import gaussian_kl
from world_models.svg import SVG
from world_models.svg.latent_training import draw
from world_models.svg.presets import SVG_PRESETS
from world_models.svg.published.end_to_end import pixel_bound, train_end_to_end
from world_models.svg.recipe import EndToEndStage, SVGRecipe, SVGRun
from world_models.svg.run import train_svg_model
from world_models.svg.videos import open_videos, read_known
from world_models.training.run import Session

DEBUG = SVG_PRESETS["svg-end-to-end-debug"][-1]
CPU = torch.device("cpu")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def model(seed=0):
    svg, rng = SVG(DEBUG.model), generator(seed)
    for parameter in svg.parameters():
        parameter.data = 0.4 * torch.randn(parameter.shape, generator=rng)
    return svg.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits")
    write_videos(folder / "1", 12, length=8, seed=1)
    return folder


@pytest.fixture(scope="module")
def videos(data):
    return read_known(open_videos(data, DEBUG.model, 2), DEBUG.model, 2, 100)


def test_the_bound_is_pixel_errors_and_divergence(videos):
    svg, stage = model(), EndToEndStage(steps=1, batch=2, beta=0.3, seen=3)
    found = pixel_bound(svg, videos, stage, CPU, 0, generator(5))
    replay = generator(5)
    rows = torch.randint(len(videos), (2,), generator=replay)
    frames = videos.pictures(rows, torch.arange(8).expand(2, -1), CPU)
    still = frames.new_zeros(2, 7, 0)
    embeddings = svg.embed_videos(frames)
    posterior = svg.dynamics.posterior(embeddings)
    predicted, _ = svg.dynamics.predict(embeddings[:, :-1], draw(posterior, replay), still)
    error = torch.tensor(0.0)
    for t in range(1, 8):
        skips = svg.skips(frames[:, min(t - 1, 2)])
        error = error + (svg.decode(predicted[:, t - 1], skips) - frames[:, t]).square().sum() / (2 * 7)
    expected, _ = svg.dynamics.prior(embeddings[:, :-1], still)
    torch.testing.assert_close(found.total, error + 0.3 * gaussian_kl(posterior, expected).mean())


def test_generated_frames_are_encoded_again(videos):
    """The second frame is what the model predicts after it has seen the picture of the first."""
    svg = model()
    frames = videos.pictures(torch.arange(2), torch.arange(3).expand(2, -1), CPU)
    noise = torch.randn(2, 2, svg.config.latent, generator=generator(3))
    state = svg.encode(Context(frames, frames.new_zeros(2, 2, 0)))
    future = svg.imagine(state, noise)
    predictor, prior = (
        tuple(p.permute(1, 2, 0, 3).contiguous()) for p in (state.latent.predictor, state.latent.prior)
    )
    frame = state.latent.embedding[:, None]
    for step in range(2):
        none = frame.new_zeros(2, 1, 0)
        (mean, log_variance), prior = svg.dynamics.prior(frame, none, prior)
        latent = mean + torch.exp(0.5 * log_variance) * noise[:, step : step + 1]
        predicted, predictor = svg.dynamics.predict(frame, latent, none, predictor)
        torch.testing.assert_close(future.features[:, step], predicted[:, 0])
        frame = svg.embed(svg.decode(predicted[:, 0], state.skips))[:, None]


def test_training_lowers_the_loss(videos, tmp_path):
    session = Session(tmp_path, 0, CPU)
    with session.initial_weights():
        svg = SVG(DEBUG.model)
    stage = EndToEndStage(steps=120, batch=6, learning_rate=1e-2)

    def loss():
        return sum(pixel_bound(svg, videos, stage, CPU, 0, generator(k)).total.item() for k in range(4))

    before = loss()
    train_end_to_end(svg, videos, stage, session)
    assert loss() < 0.6 * before


def test_a_run_ends_with_a_model_of_the_same_kind(data, tmp_path):
    run = SVGRun(data=data, out=tmp_path / "run", recipe=DEBUG)
    folder = train_svg_model(run, "command")
    assert SVG.load(folder).config.encode_again
    card = (folder / "card.md").read_text()
    assert "trained together on the bound of pixels" in card and "VisionStage" not in card
    entries = [json.loads(line) for line in (run.out / "log.jsonl").read_text().splitlines()]
    assert entries[-1]["cpu_seconds"] > 0
    with pytest.raises(ValueError, match="leave out --base"):
        train_svg_model(SVGRun(data=data, out=tmp_path / "b", base=run.out, recipe=DEBUG), "command")
    with pytest.raises(ValueError, match="goes with end_to_end"):
        SVGRecipe.model_validate(DEBUG.model_dump() | {"end_to_end": None})
