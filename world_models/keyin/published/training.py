"""The two stages of the paper's training: the interpolator, then the keyframes through it (section 3.2)."""

from functools import partial

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from world_models.files import save_array
from world_models.keyin.discovery.coding import random_pairs
from world_models.keyin.discovery.segmentation import holding_costs, segment_costs
from world_models.keyin.discovery.soft_loss import keyframe_times, soft_loss
from world_models.keyin.model import KeyIn
from world_models.keyin.published.interpolator import LSTMInterpolator
from world_models.keyin.published.predictor import PublishedPredictor
from world_models.keyin.published.stage import DiscoveryStage
from world_models.keyin.recipe import KeyInRecipe
from world_models.losses import Loss, gaussian_kl
from world_models.precision import autocast
from world_models.training.fit import fit
from world_models.training.run import Session

BETA = 1e-3
"""Weight of the KL of the interpolator's latent in nats."""
CHUNK = 100
"""Sequences whose segments are costed together."""


def train_lstm_interpolator(
    model: KeyIn, embeddings: Float[Tensor, "n frames F"], recipe: KeyInRecipe, session: Session
) -> None:
    """First stage: segments of random length at random places."""
    interpolator, frames = model.interpolator, embeddings[:, model.config.context - 1 :]
    assert isinstance(interpolator, LSTMInterpolator)
    loss = partial(segment_loss, interpolator, frames, recipe.interpolator.batch, session.device)
    fit("interpolator", interpolator, loss, recipe.interpolator, session)


def segment_loss(
    interpolator: LSTMInterpolator,
    embeddings: Float[Tensor, "n frames F"],
    batch: int,
    device: torch.device,
    _step: int,
    generator: torch.Generator,
) -> Loss:
    """Squared embedding error per frame + BETA KL of the latent, on segments of 1..S frames."""
    size = min(interpolator.longest, embeddings.shape[1] - 1)
    rows = torch.randint(len(embeddings), (batch,), generator=generator)
    start, last = random_pairs(batch, embeddings.shape[1] - 1, size, generator)
    times = torch.minimum(start[:, None] + torch.arange(size + 1), last[:, None])
    frames = embeddings[rows[:, None], times].float().to(device)
    offset = functional.one_hot(last - start - 1, size).float().to(device)
    noise = torch.randn(batch, interpolator.latent, generator=generator).to(device)
    filled, posterior = interpolator.reconstruct(frames, offset, noise)
    inside = (torch.arange(1, size + 1) <= (last - start)[:, None]).to(device)
    error = (filled - frames[:, 1:]).square().sum(-1)[inside].mean()
    kl = gaussian_kl(posterior, (torch.zeros_like(noise), torch.zeros_like(noise))).mean()
    return Loss(error + BETA * kl, {"segment": error, "segment_kl": kl})


def discover(
    model: KeyIn, embeddings: Float[Tensor, "n frames F"], recipe: KeyInRecipe, session: Session
) -> None:
    """Second stage: the interpolator is frozen, and its latent a sample of its prior."""
    stage = recipe.discovery
    assert stage is not None
    model.interpolator.requires_grad_(False)
    costs = _costs(model, embeddings, session) if stage.segments == "expected" else None
    loss = partial(discovery_loss, model, embeddings, costs, stage, session.device)
    fit("discovery", model.predictor, loss, stage, session)


def discovery_loss(
    model: KeyIn,
    embeddings: Float[Tensor, "n frames F"],
    costs: Float[Tensor, "n N S"] | None,
    stage: DiscoveryStage,
    device: torch.device,
    step: int,
    generator: torch.Generator,
) -> Loss:
    """Eq. 5 on embeddings of random sequences; ``costs`` are those of all segments, for expected errors."""
    predictor, interpolator, config = model.predictor, model.interpolator, model.config
    assert isinstance(predictor, PublishedPredictor) and isinstance(interpolator, LSTMInterpolator)
    rows = torch.randint(len(embeddings), (stage.batch,), generator=generator)
    frames = embeddings[rows].float().to(device)
    noise = torch.randn(stage.batch, config.keyframes, 2, config.latent, generator=generator).to(device)
    found = predictor.infer(frames, noise[:, :, 0])
    offsets = torch.softmax(found.offset_logits, dim=-1)
    known = frames[:, config.context - 1 :]
    starts = torch.cat([known[:, :1], found.embeddings[:, :-1]], dim=1)
    segments = found.embeddings[:, :, None].expand(-1, -1, config.max_offset, -1)
    if costs is None:
        ends = (starts.flatten(0, 1), found.embeddings.flatten(0, 1))
        filled = interpolator(*ends, offsets.flatten(0, 1), noise[:, :, 1].flatten(0, 1))
        segments = filled.unflatten(0, offsets.shape[:2])
    parts = soft_loss(known[:, 1:], found.embeddings, offsets, segments, found.kl)
    sequence = parts.interpolation
    if costs is not None:
        sequence = expected_error(known, offsets, costs[rows].float().to(device)) / config.frames
    entropy = -(offsets * offsets.clamp(min=1e-9).log()).sum(-1).mean()
    key, kl, inter, used = (part.mean() for part in (parts.keyframe, parts.divergence, sequence, parts.used))
    total = key + stage.beta_at(step) * kl + stage.interpolation_weight * inter
    total = total + stage.price * used - stage.entropy_at(step) * entropy
    return Loss(total, {"key": key, "kl": kl, "inter": inter, "used": used, "entropy": entropy})


def expected_error(
    known: Float[Tensor, "B frames F"], offsets: Float[Tensor, "B M S"], costs: Float[Tensor, "B N S"]
) -> Float[Tensor, " B"]:
    """Expectation over all offsets of the squared error of the whole sequence, summed over its frames.

    Segments lie between true frames; one that would leave the sequence counts as one to its last frame, and
    the last keyframe is held.
    """
    times = keyframe_times(offsets, known.shape[1] - 1)
    error = torch.einsum("btj,bjd,btd->b", times[:, :-1, :-1], costs, offsets)
    return error + (times[:, -1] * holding_costs(known)).sum(-1)


@torch.no_grad()
def _costs(model: KeyIn, embeddings: Float[Tensor, "n frames F"], session: Session) -> Float[Tensor, "n N S"]:
    """What every segment between true frames costs, made once; kept in ``segments.npy``."""
    path, size = session.folder / "segments.npy", model.config.max_offset
    if not path.exists():
        parts = []
        for some in tqdm(embeddings.split(CHUNK), desc=f"{'segments':>12}"):
            known = some[:, model.config.context - 1 :].float().to(session.device)
            with autocast(session.device):
                costs = segment_costs(model.interpolator, known, size)
            parts.append(to_the_end(costs).half().cpu().numpy())
        save_array(path, np.concatenate(parts))
    return torch.from_numpy(np.load(path, allow_pickle=False))


def to_the_end(costs: Float[Tensor, "B N S"]) -> Float[Tensor, "B N S"]:
    """Segments that would leave the sequence cost what the longest within it does."""
    steps = costs.shape[1]
    left = torch.arange(steps, 0, -1, device=costs.device)[:, None]
    length = torch.minimum(torch.arange(1, costs.shape[2] + 1, device=costs.device), left)
    return costs.gather(2, (length - 1).expand_as(costs))
