"""Training a reader: its teachers are the decoder and the goal's segmenters, its lessons keyframes that the
model itself imagines, for these are what a search asks about.
"""

from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from world_models.keyin.model import DECODED, KeyIn, KeyInState
from world_models.keyin.reader.network import PlaceReader
from world_models.losses import Loss
from world_models.training.fit import FitConfig, PositiveFloat, PositiveInt, fit
from world_models.training.run import Session

TOGETHER = 500
"""Plans imagined at a time."""
HELD_OUT = 4000
"""Keyframes that figures are measured on."""


class ReaderStage(FitConfig):
    """The reader; ``batch`` counts keyframes."""

    width: PositiveInt = 256
    """Units of its two hidden layers."""
    keyframes: PositiveInt = 60_000
    """Imagined keyframes that it learns from."""
    spread: PositiveFloat = 1.5
    """Most standard deviations of the decisions behind them: a search strays from the prior."""


@dataclass(frozen=True)
class Lessons:
    """Imagined keyframes and where their pictures show the objects; NaN where they do not."""

    embeddings: Float[Tensor, "n F"]
    places: Float[Tensor, "n K 2"]


def train_reader(
    model: KeyIn, embeddings: Float[Tensor, "n frames F"], stage: ReaderStage, session: Session
) -> PlaceReader:
    """Learn from what the model imagines from the frames with these embeddings.

    Raises:
        ValueError: the model has no goal.
    """
    if model.config.goal is None:
        raise ValueError("this model has no goal, so that there is nothing to read")
    objects = len(model.config.goal.objects)
    with session.initial_weights():
        reader = PlaceReader(model.config.embedding, stage.width, objects, model.config.image_size)
    reader.to(session.device)
    generator = torch.Generator().manual_seed(session.seed)
    read = cache(lambda: draw_lessons(model, embeddings, stage.keyframes, stage.spread, generator))

    def loss(_step: int, generator: torch.Generator) -> Loss:
        rows = torch.randint(len(read().embeddings), (stage.batch,), generator=generator)
        truth = read().places[rows].to(session.device)
        found, there = reader(read().embeddings[rows].to(session.device))
        shown = truth.isfinite().all(-1)
        # Distances, not squares: a few keyframes of two half objects are not to bend all the rest.
        offsets = (found - truth)[shown].square().sum(-1).add(1e-4).sqrt()
        place = offsets.mean() if len(offsets) else found.new_zeros(())
        doubt = functional.binary_cross_entropy_with_logits(there, shown.float())
        return Loss(place + doubt, {"place": place, "doubt": doubt})

    fit("reader", reader, loss, stage, session)
    return reader


def draw_lessons(
    model: KeyIn,
    embeddings: Float[Tensor, "n frames F"],
    count: int,
    spread: float,
    generator: torch.Generator,
) -> Lessons:
    """``count`` keyframes of plans from random frames, with decisions of up to ``spread`` standard
    deviations, and what their pictures show.
    """
    device = next(model.parameters()).device
    found, left = list[Tensor](), count
    with tqdm(total=count, desc=f"{'imagine':>12}", unit="keyframe") as bar:
        while left > 0:
            imagined = _imagine(model, embeddings, spread, generator, device)[:left]
            found.append(imagined)
            left -= len(imagined)
            bar.update(len(imagined))
    keyframes = torch.cat(found)
    parts = tqdm(keyframes.split(DECODED), desc=f"{'decode':>12}")
    return Lessons(keyframes.cpu(), torch.cat([_shown(model, part).cpu() for part in parts]))


@torch.no_grad()
def _imagine(
    model: KeyIn,
    embeddings: Float[Tensor, "n frames F"],
    spread: float,
    generator: torch.Generator,
    device: torch.device,
) -> Float[Tensor, "m F"]:
    """Keyframes of some plans, all of the same number."""
    config = model.config
    rows = torch.randint(len(embeddings), (TOGETHER,), generator=generator)
    last = torch.randint(config.context - 1, embeddings.shape[1], (TOGETHER,), generator=generator)
    times = last[:, None] + torch.arange(1 - config.context, 1)
    seen = embeddings[rows[:, None], times].float().to(device)
    count = config.keyframes
    if config.countdown:
        count = 1 + int(torch.randint(config.keyframes, (), generator=generator))
    width = spread * torch.rand(TOGETHER, 1, 1, generator=generator)
    decisions = width * torch.randn(TOGETHER, count, config.latent, generator=generator)
    hidden, cell = model.predictor.initial(seen)
    state = KeyInState(seen[:, -1], hidden.transpose(0, 1), cell.transpose(0, 1))
    return model.imagine(state, decisions.to(device)).features.flatten(0, 1)


@torch.no_grad()
def _shown(model: KeyIn, embeddings: Float[Tensor, "B F"]) -> Float[Tensor, "B K 2"]:
    goal = model.config.goal
    assert goal is not None
    pictures = model.decode(embeddings)
    return torch.stack([one.segmenter.blob(pictures).centre for one in goal.objects], dim=1)


@torch.no_grad()
def measure_reader(
    reader: PlaceReader, model: KeyIn, embeddings: Float[Tensor, "n frames F"], stage: ReaderStage, seed: int
) -> dict[str, float | None]:
    """Errors in pixels (median, 90 %, 99 %) on keyframes that it has not seen, imagined from these frames
    with decisions of the prior, None if they show nothing; and how often it knows whether something is
    ``there``.
    """
    count = min(HELD_OUT, stage.keyframes)
    lessons = draw_lessons(model, embeddings, count, 1.0, torch.Generator().manual_seed(seed + 1))
    device = next(reader.parameters()).device
    found, there = (part.cpu() for part in reader(lessons.embeddings.to(device)))
    shown = lessons.places.isfinite().all(-1)
    errors = (found - lessons.places)[shown].square().sum(-1).sqrt()
    shares = {"median": 0.5, "p90": 0.9, "p99": 0.99}
    figures: dict[str, float | None] = {
        name: round(float(errors.quantile(share)), 3) if len(errors) else None
        for name, share in shares.items()
    }
    return figures | {"there": round(float(((there >= 0) == shown).float().mean()), 4)}
