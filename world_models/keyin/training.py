"""The stages that train KeyIn: autoencoder, interpolator, keyframe predictor, Algorithm 2.

Each function is one stage. Stages that learn go through :func:`world_models.training.fit.fit`; stages that
only compute write their result as numpy files and skip what is already there.
"""

from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from world_models.checkpoint import save_training
from world_models.data import SequenceDataset
from world_models.files import save_array
from world_models.frames import to_tensor
from world_models.jobs.identity import differences
from world_models.keyin.discovery.coding import random_pairs
from world_models.keyin.discovery.segmentation import follow
from world_models.keyin.discovery.soft_loss import soft_loss
from world_models.keyin.discovery.teaching import Taught
from world_models.keyin.model import KeyIn
from world_models.keyin.networks import Autoencoder, Interpolator
from world_models.keyin.predictor import KeyframePredictor
from world_models.keyin.recipe import AutoencoderStage, KeyInRecipe, PredictorStage, SoftStage
from world_models.losses import Loss, color_index, color_rarity, picture_loss
from world_models.precision import autocast
from world_models.shipped import find_folder
from world_models.training.fit import fit
from world_models.training.run import Session

READ = 50
"""Sequences read at a time: about 20 MB of pictures."""
PART = 1000
"""Sequences per file of cached embeddings."""


def train_autoencoder(model: KeyIn, data: SequenceDataset, recipe: KeyInRecipe, session: Session) -> None:
    """Learn to embed and decode single frames, rare colours counting more."""
    stage, autoencoder = recipe.autoencoder, model.autoencoder

    @cache
    def read() -> tuple[Pictures, Float[Tensor, "512"]]:
        """Pictures are read when they are needed: not if the stage is finished."""
        stop = data.known(recipe.held_out)
        pictures = sample_pictures(data, stop, stage.frames_per_sequence, session.seed)
        return pictures, color_rarity(to_tensor(pictures.some)).to(session.device)

    def loss(step: int, generator: torch.Generator) -> Loss:
        pictures, rarity = read()
        if step == 0:
            typical = to_tensor(np.median(pictures.some, axis=0).astype(np.uint8), session.device)
            autoencoder.encoder.background.copy_(typical)
            autoencoder.decoder.background.data.copy_(torch.logit(typical, eps=0.01))
        return autoencoder_loss(autoencoder, pictures, rarity, stage, session.device, step, generator)

    fit("autoencoder", autoencoder, loss, stage, session)


@dataclass(frozen=True)
class Pictures:
    """What the autoencoder learns from: random frames, and one still per sequence (its median over time)."""

    frames: UInt8[np.ndarray, "n H W C"]
    stills: UInt8[np.ndarray, "m H W C"]

    @property
    def some(self) -> UInt8[np.ndarray, "k H W C"]:
        """About 2000 of the frames, evenly spaced."""
        return self.frames[:: max(1, len(self.frames) // 2000)]


def sample_pictures(data: SequenceDataset, stop: int, each: int, seed: int) -> Pictures:
    """``each`` random frames and the still of every sequence before ``stop``; depends on the seed only."""
    rng = np.random.default_rng(seed)
    length, *shape = data.shapes["frames"]
    each = min(each, length)
    frames, stills = np.empty((stop, each, *shape), np.uint8), np.empty((stop, *shape), np.uint8)
    for first in tqdm(range(0, stop, READ), desc=f"{'read frames':>12}"):
        read = data[first : min(first + READ, stop)].frames
        rows = slice(first, first + len(read))
        times = rng.random(read.shape[:2]).argsort(axis=1)[:, :each]
        frames[rows] = read[np.arange(len(read))[:, None], times]
        spaced = read[:, :: max(1, length // 11)]
        middle = spaced.shape[1] // 2
        stills[rows] = np.partition(spaced, middle, axis=1)[:, middle]
    return Pictures(frames.reshape(-1, *shape), stills)


def autoencoder_loss(
    autoencoder: Autoencoder,
    pictures: Pictures,
    rarity: Float[Tensor, "512"],
    stage: AutoencoderStage,
    device: torch.device,
    step: int,
    generator: torch.Generator,
) -> Loss:
    """Reconstruction of a random batch of stills and frames through noisy embeddings."""
    share = 1.0 if step < stage.stills_first * stage.steps else stage.stills_share
    count = round(share * stage.batch)
    still = torch.randint(len(pictures.stills), (count,), generator=generator).numpy()
    moving = torch.randint(len(pictures.frames), (stage.batch - count,), generator=generator).numpy()
    batch = to_tensor(np.concatenate([pictures.stills[still], pictures.frames[moving]]), device)
    embeddings = autoencoder.encode(batch)
    noise = torch.randn(embeddings.shape, generator=generator).to(device)
    logits = autoencoder.logits(embeddings + stage.noise * noise)
    total = picture_loss(logits, batch, rarity[color_index(batch)]).mean()
    return Loss(total, {"picture": total})


@torch.no_grad()
def cache_embeddings(
    model: KeyIn, data: SequenceDataset, folder: Path, session: Session
) -> Float[Tensor, "n frames F"]:
    """Embed every frame of the data set once (half precision); parts that exist in ``folder`` are kept."""
    parts = []
    for first in tqdm(range(0, len(data), PART), desc=f"{'embed':>12}"):
        path = folder / f"{first:07d}.npy"
        if not path.exists():
            pieces = []
            for batch in data.batches(READ, first, first + PART):
                frames = to_tensor(batch.frames.reshape(-1, *batch.frames.shape[2:]), session.device)
                with autocast(session.device):
                    embeddings = model.autoencoder.encode(frames)
                pieces.append(embeddings.unflatten(0, batch.frames.shape[:2]).half().cpu().numpy())
            save_array(path, np.concatenate(pieces))
        parts.append(np.load(path, allow_pickle=False))
    return torch.from_numpy(np.concatenate(parts))


def train_interpolator(
    model: KeyIn, embeddings: Float[Tensor, "n frames F"], recipe: KeyInRecipe, session: Session
) -> None:
    """Learn to fill segments at random places (first stage of section 3.2)."""
    stage = recipe.interpolator
    frames = embeddings[:, model.config.context - 1 :]
    interpolator = model.interpolator
    assert isinstance(interpolator, Interpolator)
    loss = partial(interpolator_loss, interpolator, frames, stage.batch, session.device)
    fit("interpolator", interpolator, loss, stage, session)


def interpolator_loss(
    interpolator: Interpolator,
    embeddings: Float[Tensor, "n frames F"],
    batch: int,
    device: torch.device,
    _step: int,
    generator: torch.Generator,
) -> Loss:
    """Squared embedding error per frame on random segments of random length."""
    size = min(len(interpolator.progress), embeddings.shape[1] - 1)
    rows = torch.randint(len(embeddings), (batch,), generator=generator)
    start, last = random_pairs(batch, embeddings.shape[1] - 1, size, generator)
    times = torch.minimum(start[:, None] + torch.arange(size + 1), last[:, None])
    frames = embeddings[rows[:, None], times].float().to(device)
    offset = functional.one_hot(last - start - 1, size).float().to(device)
    error = (interpolator(frames[:, 0], frames[:, -1], offset) - frames[:, 1:]).square().sum(-1)
    inside = torch.arange(1, size + 1) <= (last - start)[:, None]
    total = error[inside.to(device)].mean()
    return Loss(total, {"segment": total})


def adopt_autoencoder(model: KeyIn, name: str, recipe: KeyInRecipe, session: Session) -> None:
    """Take the autoencoder of a finished model, as the finished stage of this run.

    Raises:
        CheckpointError: the model folder is damaged, or no KeyIn.
        ValueError: there is no such model, or its autoencoder has other sizes.
    """
    path = session.folder / "autoencoder.safetensors"
    if path.exists():
        return
    other = KeyIn.load(find_folder(name))
    fields = ("image_size", "widths", "keypoints", "blobs", "embedding", "dense")
    mine, theirs = (config.model_dump(include=set(fields)) for config in (model.config, other.config))
    if changed := differences(mine, theirs):
        raise ValueError(f"the autoencoder of {name} has other {', '.join(changed)}; choose another one")
    model.autoencoder.load_state_dict(other.autoencoder.state_dict())
    optimizer = torch.optim.Adam(model.autoencoder.parameters())
    save_training(path, recipe.autoencoder.steps, model.autoencoder, optimizer, torch.Generator())


def train_predictor(model: KeyIn, taught: Taught, recipe: KeyInRecipe, session: Session) -> None:
    """Learn to predict the teacher's keyframes, when they come, and how many are needed."""
    loss = partial(predictor_loss, model, taught, recipe.predictor, session.device)
    fit("predictor", model.predictor, loss, recipe.predictor, session)


def predictor_loss(
    model: KeyIn,
    taught: Taught,
    stage: PredictorStage,
    device: torch.device,
    step: int,
    generator: torch.Generator,
) -> Loss:
    """Squared error to the teacher's keyframes + beta KL + cross-entropy of the offsets, and of the number of
    keyframes needed.
    """
    predictor, config = model.predictor, model.config
    assert isinstance(predictor, KeyframePredictor)
    rows = torch.randint(len(taught.embeddings), (stage.batch,), generator=generator)
    start, offsets = torch.zeros_like(rows), taught.offsets[rows]
    if config.countdown:
        # One number of keyframes for the whole batch: fewer are cheaper.
        often = torch.tensor(stage.counts or (1.0,) * config.keyframes)
        count = 1 + int(torch.multinomial(often, 1, generator=generator))
        start = _starts(stage, config.frames + 1 - count, generator)
        offsets = follow(offsets, start, torch.full_like(start, count))[:, :count]
    times = start[:, None] + torch.arange(taught.embeddings.shape[1])
    times = times.clamp(max=taught.embeddings.shape[1] - 1)
    frames, offsets = taught.embeddings[rows[:, None], times].float().to(device), offsets.to(device)
    noise = torch.randn(*offsets.shape, predictor.latent, generator=generator).to(device)
    used = offsets > 0
    found = predictor.infer(frames, offsets, noise)
    times = predictor.context - 1 + offsets.cumsum(-1)
    targets = frames[torch.arange(len(frames), device=device)[:, None], times]
    key = (found.embeddings - targets).square().sum(-1)[used].mean()
    kl = found.kl[used].mean()
    timing = functional.cross_entropy(found.offset_logits[used], offsets[used] - 1)
    beta = stage.beta * min(1.0, step / (0.2 * stage.steps))
    total = key + beta * kl + stage.offset_weight * timing
    logs = {"key": key, "kl": kl, "timing": timing}
    if taught.places is not None and taught.needed is not None:
        asked = model.asked(frames[:, predictor.context - 1], taught.places[rows, -1].to(device))
        wanted = taught.needed[rows, start].to(device) - 1
        needs = functional.cross_entropy(predictor.needs(asked).float(), wanted)
        total, logs = total + needs, logs | {"needs": needs}
    return Loss(total, logs)


def _starts(stage: PredictorStage, frames: int, generator: torch.Generator) -> Int[Tensor, " B"]:
    """The frames that sequences begin at, of the first ``frames``."""
    cut = torch.rand(stage.batch, generator=generator) < stage.cut
    start = torch.randint(frames, (stage.batch,), generator=generator)
    return torch.where(cut, start, 0)


def train_soft(
    model: KeyIn,
    taught: Taught,
    recipe: KeyInRecipe,
    session: Session,
) -> None:
    """Go on with the model's own offsets as targets, through Algorithm 2 and the frozen interpolator; zero
    steps leave it out.
    """
    if not recipe.soft.steps:
        return
    model.interpolator.requires_grad_(False)
    loss = partial(algorithm_2, model, taught, recipe.soft, session.device)
    fit("soft", model.predictor, loss, recipe.soft, session)


def algorithm_2(
    model: KeyIn,
    taught: Taught,
    stage: SoftStage,
    device: torch.device,
    _step: int,
    generator: torch.Generator,
) -> Loss:
    """The full loss of eq. 5 on embeddings."""
    rows = torch.randint(len(taught.embeddings), (stage.batch,), generator=generator)
    frames = taught.embeddings[rows].float().to(device)
    count = model.config.keyframes
    noise = torch.randn(stage.batch, count, model.config.latent, generator=generator).to(device)
    assert isinstance(model.predictor, KeyframePredictor)
    found = model.predictor.infer(frames, taught.offsets[rows].to(device), noise)
    offsets = torch.softmax(found.offset_logits, dim=-1)
    first, later = frames[:, model.config.context - 1], frames[:, model.config.context :]
    starts = torch.cat([first[:, None], found.embeddings[:, :-1]], dim=1)
    ends = (starts.flatten(0, 1), found.embeddings.flatten(0, 1))
    segments = model.interpolator(*ends, offsets.flatten(0, 1)).unflatten(0, (stage.batch, count))
    parts = soft_loss(later, found.embeddings, offsets, segments, found.kl)
    key, kl, inter = parts.keyframe.mean(), parts.divergence.mean(), parts.interpolation.mean()
    total = key + stage.beta * kl + stage.interpolation_weight * inter
    return Loss(total, {"key": key, "kl": kl, "inter": inter, "used": parts.used.mean()})
