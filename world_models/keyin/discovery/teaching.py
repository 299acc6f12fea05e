"""Where the keyframes of the training sequences are: KeyIn's segmentation, or a baseline's rule."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from tqdm import tqdm

from world_models.checkpoint import write_model
from world_models.files import save_array
from world_models.keyin.config import Segmentation
from world_models.keyin.discovery.chords import chord_distances
from world_models.keyin.discovery.coding import KeyframeCoder, random_pairs
from world_models.keyin.discovery.segmentation import best_offsets, onward_offsets, timing_costs
from world_models.keyin.model import KeyIn
from world_models.keyin.recipe import KeyInRecipe
from world_models.losses import Loss
from world_models.svg.config import LatentSVGConfig
from world_models.svg.latent import LatentSVG
from world_models.svg.latent_training import train_svg
from world_models.svg.surprise import LAG, peaks, surprise_keyframes
from world_models.training.fit import fit
from world_models.training.run import Session


def train_coder(
    model: KeyIn, embeddings: Float[Tensor, "n frames F"], recipe: KeyInRecipe, session: Session
) -> None:
    """Learn to predict one frame from another one before it, at random distances up to S."""
    settings = recipe.model.segmentation
    assert settings is not None
    frames = embeddings[:, recipe.model.context - 1 :]
    loss = partial(
        coder_loss,
        model.coder,
        frames,
        recipe.model.max_offset,
        settings.coding_beta,
        recipe.coder.batch,
        session.device,
    )
    fit("coder", model.coder, loss, recipe.coder, session)


def coder_loss(
    coder: KeyframeCoder,
    embeddings: Float[Tensor, "n frames F"],
    longest: int,
    beta: float,
    batch: int,
    device: torch.device,
    _step: int,
    generator: torch.Generator,
) -> Loss:
    """Squared embedding error + beta KL on random pairs of frames."""
    rows = torch.randint(len(embeddings), (batch,), generator=generator)
    start, end = random_pairs(batch, embeddings.shape[1] - 1, longest, generator)
    pair = (embeddings[rows, start].float().to(device), embeddings[rows, end].float().to(device))
    error, kl = coder(*pair, torch.randn(batch, coder.latent, generator=generator).to(device))
    return Loss((error + beta * kl).mean(), {"error": error.mean(), "kl": kl.mean()})


@dataclass(frozen=True)
class Taught:
    """Known sequences, and where their keyframes are."""

    embeddings: Float[Tensor, "n frames F"]
    offsets: Int[Tensor, "n M"] | Int[Tensor, "n M N"]
    """Offsets 1..S of the keyframes; 0 where a sequence needs fewer than M of them. With countdown: the way
    on from every frame in every number of segments (:func:`onward_offsets`)."""
    places: Float[Tensor, "n times G"] | None = None
    """Where the object is at the times 0..N, in pixels, for models that count."""
    needed: Int[Tensor, "n N"] | None = None
    """How many keyframes are needed from each of the times 0..N-1 on."""


@dataclass(frozen=True)
class _Lesson:
    """What keyframes are found from."""

    model: KeyIn
    embeddings: Float[Tensor, "n frames F"]
    places: Float[Tensor, "n frames G"] | None
    recipe: KeyInRecipe
    session: Session


def teach(
    model: KeyIn, embeddings: Float[Tensor, "n frames F"], recipe: KeyInRecipe, session: Session
) -> Taught:
    """Find the keyframes of every sequence; a model that infers them also gets the distribution of their
    offsets.
    """
    if recipe.model.has_coder:
        train_coder(model, embeddings, recipe, session)
    wants_places = recipe.model.counts or (recipe.model.segmentation and recipe.model.segmentation.object)
    places = _places(model, embeddings, session) if wants_places else None
    path = session.folder / "teacher.npy"
    if not path.exists():
        offsets = _TEACHERS[recipe.teacher.method](_Lesson(model, embeddings, places, recipe, session))
        save_array(path, offsets.cpu().numpy().astype(np.int8))
    found = torch.from_numpy(np.load(path, allow_pickle=False)).long()
    if recipe.model.knows_timing:
        model.timing.copy_(timing_costs(found, *model.timing.shape))
    if not recipe.model.counts or places is None:
        return Taught(embeddings, found)
    known = places[:, recipe.model.context - 1 :]
    settings = recipe.model.segmentation or Segmentation()
    return Taught(embeddings, found, known, keyframes_needed(known, found, settings.straight))


@torch.no_grad()
def _places(
    model: KeyIn, embeddings: Float[Tensor, "n frames F"], session: Session
) -> Float[Tensor, "n frames G"]:
    path = session.folder / "places.npy"
    if not path.exists():
        parts = tqdm(embeddings.split(50), desc=f"{'places':>12}")
        places = [model.places(part.float().to(session.device)).cpu() for part in parts]
        save_array(path, torch.cat(places).numpy())
    return torch.from_numpy(np.load(path, allow_pickle=False))


def keyframes_needed(
    places: Float[Tensor, "n times G"], onward: Int[Tensor, "n M N"], straight: float
) -> Int[Tensor, "n N"]:
    """The fewest keyframes on a way of ``onward`` (:func:`onward_offsets`) with which the object keeps within
    ``straight`` pixels of all its chords; M where no number is enough.
    """
    _, count, frames = onward.shape
    needed = []
    for part, table in zip(places.split(500), onward.split(500), strict=True):
        _, largest = chord_distances(part, frames)
        enough = []
        # Beyond the end there is nothing left to be crooked; a way that does not exist is infinitely so.
        worst = torch.cat(
            [part.new_full((len(part), frames), torch.inf), part.new_zeros(len(part), 1)], dim=1
        )
        for taken in table.unbind(1):
            there = torch.arange(frames) + taken
            leg = largest.gather(2, (taken - 1).clamp(min=0)[..., None])[..., 0]
            onwards = torch.maximum(leg, worst.gather(1, there.clamp(max=frames)))
            onwards = torch.where(taken > 0, onwards, torch.inf)
            worst = torch.cat([onwards, onwards.new_full((len(part), 1), torch.inf)], dim=1)
            enough.append(onwards <= straight)
        found = torch.stack(enough, dim=-1).float()
        needed.append(torch.where(found.any(-1), found.argmax(-1) + 1, count))
    return torch.cat(needed)


def _constant(lesson: _Lesson) -> Int[Tensor, "n M"] | Int[Tensor, "n M N"]:
    config, constant = lesson.recipe.model, lesson.recipe.teacher.constant
    count, frames, rows = config.keyframes, config.frames, len(lesson.embeddings)
    if not config.countdown:
        times = torch.arange(1, count + 1) * constant
        offsets = times.clamp(max=frames).diff(prepend=times.new_zeros(1))
        return offsets.expand(rows, -1)
    left, remaining = _left(count, frames)
    # The last keyframe is the last frame, and those before it leave room for those after.
    taken = torch.where(left == 1, remaining, (remaining - left + 1).clamp(max=constant))
    return torch.where(remaining < left, 0, taken).expand(rows, -1, -1)


def _even(lesson: _Lesson) -> Int[Tensor, "n M N"]:
    config = lesson.recipe.model
    left, remaining = _left(config.keyframes, config.frames)
    taken = (remaining / left).round().long()
    return torch.where(remaining < left, 0, taken).expand(len(lesson.embeddings), -1, -1)


def _random(lesson: _Lesson) -> Int[Tensor, "n M N"]:
    """All sets of times are equally likely: those of the m - 1 largest of random numbers, one per time."""
    config = lesson.recipe.model
    generator = torch.Generator().manual_seed(lesson.session.seed)
    lots = torch.rand(len(lesson.embeddings), config.frames, generator=generator)
    return first_of_most(lots, config.keyframes)


def _left(count: int, frames: int) -> tuple[Int[Tensor, "M 1"], Int[Tensor, "1 N"]]:
    """Segments left, and frames left at the times 0..N-1."""
    return torch.arange(1, count + 1)[:, None], torch.arange(frames, 0, -1)[None]


def first_of_most(marks: Float[Tensor, "n N"], keyframes: int) -> Int[Tensor, "n M N"]:
    """Ways on (:func:`onward_offsets`) over the times of the largest marks: in m segments from time j, the
    m - 1 largest of the times j+1..N-1, and N. ``marks[:, t]`` belongs to time t; that of time 0 is not used.
    """
    rows, frames = marks.shape
    onward = torch.zeros(rows, keyframes, frames, dtype=torch.long)
    for start in range(frames):
        later = marks[:, start + 1 :]
        onward[:, 0, start] = frames - start
        for count in range(2, min(keyframes, frames - start) + 1):
            onward[:, count - 1, start] = later.topk(count - 1, dim=1).indices.min(1).values + 1
    return onward


@torch.no_grad()
def _surprising(lesson: _Lesson) -> Int[Tensor, "n M"] | Int[Tensor, "n M N"]:
    recipe, session, embeddings = lesson.recipe, lesson.session, lesson.embeddings
    sizes = LatentSVGConfig(embedding=recipe.model.embedding, hidden=recipe.model.hidden)
    with session.initial_weights():
        svg = LatentSVG(sizes).to(session.device)
    with torch.enable_grad():
        train_svg(svg, embeddings, recipe.surprise, session)
    write_model(
        session.folder / "svg", sizes, svg, "# SVG-FP on embeddings: the surprise of a KeyIn baseline\n"
    )
    parts = [svg.surprise(part.float().to(session.device)).cpu() for part in embeddings.split(200)]
    surprise = torch.cat(parts)[:, recipe.model.context - 1 :]
    if recipe.model.countdown:
        # Peaks come first, and a surprise at time t points to a keyframe at t - LAG.
        marks = surprise + (surprise.max() - surprise.min()) * peaks(surprise)
        return first_of_most(marks.roll(1 - LAG, dims=1), recipe.model.keyframes)
    times = surprise_keyframes(surprise, recipe.model.keyframes)
    return times.diff(dim=1, prepend=times.new_zeros(len(times), 1)).clamp(max=recipe.model.max_offset)


@torch.no_grad()
def _cheapest(lesson: _Lesson) -> Int[Tensor, "n M"] | Int[Tensor, "n M N"]:
    model, recipe, places = lesson.model, lesson.recipe, lesson.places
    settings, count = recipe.model.segmentation, recipe.model.keyframes
    assert settings is not None
    parts, device = lesson.embeddings.split(100), lesson.session.device
    seen = [None] * len(parts) if places is None else places.to(device).split(100)
    pairs = tqdm(zip(parts, seen, strict=True), desc=f"{'teacher':>12}", total=len(parts))
    tables = (model.keyframe_costs(part.float().to(device), where) for part, where in pairs)
    if recipe.model.countdown:
        return torch.cat([onward_offsets(costs, count) for costs, _ in tables])
    costs, ending = (torch.cat(column) for column in zip(*tables, strict=True))
    offsets = best_offsets(costs, count, ending, settings.exact)
    for _ in range(recipe.teacher.rounds):
        timing = settings.timing * timing_costs(offsets, *model.timing.shape)
        offsets = best_offsets(costs + timing, count, ending, settings.exact)
    return offsets


_TEACHERS = {
    "segmentation": _cheapest,
    "constant": _constant,
    "even": _even,
    "random": _random,
    "surprise": _surprising,
}
"""By method."""
