"""Figures and pictures of a KeyIn of any data, by which a person can judge it."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from world_models.data import SequenceDataset
from world_models.frames import to_bytes, to_tensor
from world_models.goals import EmbeddingGoal
from world_models.interface import Context
from world_models.jobs.figures import new_figure, save_figure
from world_models.keyin.model import KeyIn

PICTURES = "pictures.png"
"""Beside the card."""
SEQUENCES = 50
"""Held-out sequences that figures are measured on, at most."""
SHOWN, SAMPLES = 8, 3
"""Frames that are shown beside what is made of them, and plans that are drawn from the prior."""


@torch.no_grad()
def measure_own(
    model: KeyIn, data: SequenceDataset, start: int, goal: EmbeddingGoal, seed: int
) -> dict[str, float | None]:
    """What can be said without knowing what pictures show, on sequences from ``start`` on."""
    batch = data[start : start + SEQUENCES]
    device = next(model.parameters()).device
    frames = to_tensor(batch.frames, device)
    flat = frames.flatten(0, 1)
    embeddings = torch.cat([model.embed(part) for part in flat.split(100)])
    decoded = torch.cat([model.decode(part) for part in embeddings.split(100)])
    error = (decoded - flat).square().mean((1, 2, 3))
    keyframes = _sample(model, frames, torch.Generator().manual_seed(seed)).flatten(0, 1)
    cycle = (model.embed(model.decode(keyframes)) - keyframes).square().sum(-1)
    sequences = embeddings.unflatten(0, frames.shape[:2])
    found = {
        "sequences": float(len(batch)),
        "picture_psnr_median": float((-10 * error.log10()).median()),
        "one_frame_distance_unit": goal.unit,
        "reached": goal.reached,
        "prior_keyframes_plausible": float((cycle < goal.cycle_limit).float().mean()),
    }
    if model.config.segmentation is not None:
        found["keyframe_distance_median"] = float(model.segment(sequences).float().median())
    return {name: round(value, 4) for name, value in found.items()}


@torch.no_grad()
def draw_own(model: KeyIn, data: SequenceDataset, start: int, seed: int, path: Path) -> None:
    """Write a page of pictures: frames and what the autoencoder makes of them, a sequence with the keyframes
    found in it framed, plans drawn from the prior.
    """
    batch = data[start : start + SHOWN]
    device = next(model.parameters()).device
    frames = to_tensor(batch.frames, device)
    middle = frames[:, frames.shape[1] // 2]
    rows = [("held-out frames", _bytes(middle)), ("... decoded", _bytes(model.decode(model.embed(middle))))]
    embeddings = model.embed(frames[0])[None]
    marked: set[int] = set()
    if model.config.segmentation is not None:
        times = model.segment(embeddings)[0].cumsum(-1) + model.config.context - 1
        marked = set(times.tolist())
    whole = _bytes(frames[0])
    parts = np.array_split(np.arange(len(whole)), -(-len(whole) // 10))
    rows += [("keyframes found" if not part[0] else "", whole[part]) for part in parts]
    plans = _sample(model, frames[:1].expand(SAMPLES, *frames.shape[1:]), torch.Generator().manual_seed(seed))
    rows += [
        ("drawn from the prior" if not k else "", np.concatenate([whole[:1], _bytes(model.decode(plan))]))
        for k, plan in enumerate(plans)
    ]
    columns = max(len(pictures) for _, pictures in rows)
    figure = new_figure(figsize=(1.1 * columns, 1.3 * len(rows)))
    figure.subplots_adjust(left=0.02, right=0.98, bottom=0.02, top=0.96, wspace=0.1, hspace=0.3)
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for axis in axes.ravel():
        axis.axis("off")
    first = 2
    for line, (title, pictures) in zip(axes, rows, strict=True):
        line[0].set_title(title, fontsize=8, loc="left")
        for axis, picture in zip(line, pictures, strict=False):
            axis.imshow(picture, interpolation="nearest")
    for row, part in enumerate(parts, first):
        for axis, time in zip(axes[row], part, strict=False):
            if int(time) in marked:
                axis.axis("on")
                axis.set(xticks=[], yticks=[])
                axis.spines[:].set(color="#e65100", linewidth=2.5)
    save_figure(figure, path, dpi=80)


def _sample(
    model: KeyIn, frames: Float[Tensor, "B frames C H W"], generator: torch.Generator
) -> Float[Tensor, "B M F"]:
    """Keyframes of a plan from the prior for each sequence."""
    seen = model.config.context
    context = Context(frames[:, :seen], frames.new_zeros(len(frames), seen - 1, 0))
    noise = torch.randn(len(frames), model.config.keyframes, model.config.latent, generator=generator)
    return model.imagine(model.encode(context), noise.to(frames.device)).features


def _bytes(pictures: Float[Tensor, "B C H W"]) -> np.ndarray:
    return np.asarray(to_bytes(pictures))
