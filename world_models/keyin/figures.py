"""What a trained KeyIn is worth before anyone plans with it: do prior keyframes show one whole object?

Everything is measured on decoded pictures of held-out sequences.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from world_models.data import SequenceDataset, Sequences
from world_models.frames import to_tensor
from world_models.interface import Context
from world_models.keyin.keyframes.scores import score
from world_models.keyin.model import KeyIn
from world_models.keyin.recipe import ObjectColor
from world_models.segmenter import Blob, find_blob

Figures = dict[str, float | None]
"""By name; None where there is nothing to measure."""

CHUNK = 64
"""Sequences looked at together."""


@dataclass(frozen=True)
class Limits:
    """Which blobs count as one whole object: a third beyond what nearly all true frames show."""

    least_area: float
    most_area: float
    most_radius: float

    def whole(self, found: Blob) -> Bool[Tensor, " B"]:
        """Whether each blob is one whole object."""
        fits = (found.mass >= self.least_area) & (found.mass <= self.most_area)
        return fits & (found.radius <= self.most_radius)


def measure(
    model: KeyIn, data: SequenceDataset, start: int, stop: int, thing: ObjectColor, generator: torch.Generator
) -> Figures:
    """All figures on sequences ``start:stop``, which the model must not have been trained on.

    Prior figures draw one plan of M keyframes per first frame. ``whole`` shares count keyframes (or plans)
    that show exactly one whole object. Lengths are in pixels. F1 compares the most likely offsets under the
    posterior with the recorded keyframes at times 1..N-1.
    """
    parts: list[dict[str, Tensor]] = []
    scale = _limits(data[start : min(start + CHUNK, stop)], thing)
    for batch in data.batches(CHUNK, start, stop):
        parts.append(_measure_batch(model, batch, thing, scale, generator))
    all_of = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    planned, real = all_of["steps"][all_of["plan_whole"]].flatten(), all_of["demonstrated_steps"]
    error = all_of["center_error"]
    figures = {
        "sequences": float(stop - start),
        "prior_keyframes_whole": _mean(all_of["whole"]),
        "prior_first_keyframe_whole": _mean(all_of["whole"][:, 0]),
        "prior_plans_whole": _mean(all_of["plan_whole"]),
        "autoencoder_whole": _mean(all_of["decoded_whole"]),
        "autoencoder_center_error_median": _quantile(error, 0.5),
        "autoencoder_center_error_p95": _quantile(error, 0.95),
        "autoencoder_center_error_below_1px": _mean(error < 1.0),
    }
    if model.config.infers:
        figures |= {
            "posterior_keyframes_whole": _mean(all_of["posterior_whole"]),
            "kl_per_keyframe": _mean(all_of["kl"]),
            "f1_exact": _mean(all_of["f1"]),
            "f1_within_1": _mean(all_of["f1_within_1"]),
        }
    for name, steps in (("prior_step", planned), ("demonstration_step", real)):
        figures |= {f"{name}_mean": _mean(steps), f"{name}_p99": _quantile(steps, 0.99)}
        figures |= {f"{name}_sd": float(steps.std()) if len(steps) > 1 else float("nan")}
    return {name: round(value, 4) if math.isfinite(value) else None for name, value in figures.items()}


def _limits(batch: Sequences, thing: ObjectColor) -> Limits:
    found = _blob(to_tensor(batch.frames.reshape(-1, *batch.frames.shape[2:])), thing)
    seen = found.mass > 0
    area, radius = found.mass[seen], found.radius[seen]
    return Limits(0.75 * _quantile(area, 0.01), 1.33 * _quantile(area, 0.99), 1.3 * _quantile(radius, 0.99))


@torch.no_grad()
def _measure_batch(
    model: KeyIn, batch: Sequences, thing: ObjectColor, limits: Limits, generator: torch.Generator
) -> dict[str, Tensor]:
    device = next(model.parameters()).device
    frames = to_tensor(batch.frames, device)
    count, length = frames.shape[:2]
    embeddings = model.embed(frames.flatten(0, 1)).unflatten(0, (count, length))
    shape = (count, model.config.keyframes, model.config.latent)

    seen = model.config.context
    context = Context(frames[:, :seen], frames.new_zeros(count, seen - 1, batch.actions.shape[-1]))
    noise = torch.randn(shape, generator=generator).to(device)
    imagined = model.imagine(model.encode(context), noise)
    prior = _blob(model.decode(imagined.features.flatten(0, 1)), thing)
    whole = limits.whole(prior).unflatten(0, shape[:2])
    true = _blob(frames.flatten(0, 1), thing)
    recorded = true.centre.unflatten(0, (count, length))[:, seen - 1 :]  # from time 0 on
    centers = torch.cat([recorded[:, :1], prior.centre.unflatten(0, shape[:2])], 1)

    pick = torch.randint(length, (count,), generator=generator) + torch.arange(count) * length
    decoded = _blob(model.decode(embeddings.flatten(0, 1)[pick.to(device)]), thing)
    visible = true.mass.cpu()[pick] >= limits.least_area

    flags = torch.from_numpy(batch.keyframes)[:, seen - 1 :]
    figures = {
        "whole": whole.cpu(),
        "plan_whole": whole.all(-1).cpu(),
        "steps": centers.diff(dim=1).norm(dim=-1).cpu(),
        "decoded_whole": limits.whole(decoded).cpu()[visible],
        "center_error": (decoded.centre.cpu() - true.centre.cpu()[pick])
        .norm(dim=-1)
        .nan_to_num(99.0)[visible],
        "demonstrated_steps": _demonstrated(flags, recorded.cpu()),
    }
    if not model.config.infers:
        return figures
    noise = torch.randn(shape, generator=generator).to(device)
    posterior = model.infer(embeddings, noise)
    shown = _blob(model.decode(posterior.embeddings.flatten(0, 1)), thing)
    scores = score((posterior.offset_logits.argmax(-1) + 1).cumsum(-1).cpu(), flags)
    return figures | {
        "posterior_whole": limits.whole(shown).cpu(),
        "kl": posterior.kl.flatten().cpu(),
        "f1": scores.f1,
        "f1_within_1": scores.f1_within_1,
    }


def _blob(frames: Float[Tensor, "B C H W"], thing: ObjectColor) -> Blob:
    return find_blob(frames, thing.color, thing.tolerance)


def _demonstrated(flags: Bool[Tensor, "B T"], centers: Float[Tensor, "B T 2"]) -> Float[Tensor, " K"]:
    """Displacements of the object from one recorded keyframe to the next, the first frame counting as one."""
    steps = [centers.new_zeros(0)]
    for row, flagged in zip(centers, flags, strict=True):
        marked = flagged.clone()
        marked[0] = True
        steps.append(row[marked].diff(dim=0).norm(dim=-1))
    joined = torch.cat(steps)
    return joined[joined.isfinite()]


def _mean(values: Tensor) -> float:
    return float(values.float().mean()) if values.numel() else float("nan")


def _quantile(values: Tensor, share: float) -> float:
    return float(np.quantile(values.numpy(force=True), share)) if values.numel() else float("nan")
