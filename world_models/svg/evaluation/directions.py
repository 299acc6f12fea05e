"""Which ways digits go after a wall: sampled velocities against true ones (section 4.2, Fig. 5).

All videos of a data set show one digit that starts at the same place with the same velocity and hits its
first wall at the same time; what comes then differs. Both are distributions of whole velocities per frame.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from world_models.data import SequenceDataset
from world_models.frames import to_tensor
from world_models.precision import autocast
from world_models.svg.evaluation.scores import SamplingProtocol, draw_noise, futures
from world_models.svg.model import SVG

REACH = 5
"""Velocities are counted from -5 to 5 pixels per frame; digits keep to 4, so what is faster counts as 5."""
CELLS = 2 * REACH + 1
DIM = 0.25
"""Darker pixels are no part of a digit."""
VIDEOS, SAMPLES = 100, 50
"""How many videos of a data set a model sees, and how often it continues each."""
BATCH = 250

Counts = Float[np.ndarray, "L 11 11"]
"""Shares of velocities (y, x) per frame; they add up to 1."""


@dataclass(frozen=True)
class Example:
    """One start."""

    first_wall: int
    """Frame, counted from 0, in which the digit is put on the edge of the picture; the next one is the first
    that differs between videos."""
    path: Float[np.ndarray, "t 2"]
    """Middles (x, y) of the digit in pixels, up to then."""
    truth: Counts
    """Shares over the videos of the data set."""
    halves: tuple[Counts, Counts]
    """The same of either half of them."""
    models: dict[str, Counts]
    """The same of sampled videos."""


@torch.no_grad()
def measure_example(models: Mapping[str, SVG], folder: Path, protocol: SamplingProtocol) -> Example:
    """Velocities in the videos of a folder, and in what the models make of their first frames.

    Raises:
        DataError: the data is missing.
    """
    data = SequenceDataset(folder)
    states = np.concatenate([part.states for part in data.batches(BATCH)])[
        :, : protocol.seen + protocol.generated
    ]
    walls, middles = states[..., 0], states[..., 1:]
    first = int(walls[0].argmax()) if walls[0].any() else len(walls[0]) - 1
    steps = np.diff(middles, axis=1)[:, protocol.seen - 1 :]
    half = len(steps) // 2
    some = data[: min(VIDEOS, len(data))].frames
    return Example(
        first,
        middles[0, : first + 1],
        count_velocities(steps),
        (count_velocities(steps[:half]), count_velocities(steps[half:])),
        {name: count_velocities(_sampled(model, some, protocol)) for name, model in models.items()},
    )


def count_velocities(velocities: Float[np.ndarray, "n L 2"]) -> Counts:
    """Shares of whole velocities; where there is no digit to be seen (NaN), in the corner."""
    cells = np.clip(np.rint(np.nan_to_num(velocities, nan=REACH)), -REACH, REACH).astype(int) + REACH
    counts = np.zeros((velocities.shape[1], CELLS, CELLS))
    steps = np.broadcast_to(np.arange(velocities.shape[1]), cells.shape[:2])
    np.add.at(counts, (steps, cells[..., 1], cells[..., 0]), 1.0)
    return counts / len(velocities)


def centre_of_light(frames: Float[Tensor, "*B C H W"]) -> Float[Tensor, "*B 2"]:
    """Where a bright thing is (x, y) in pixels; NaN in a dark picture."""
    light = frames.mean(-3)
    light = light * (light > DIM)
    mass = light.sum((-2, -1))
    rows, columns = (torch.arange(float(side), device=frames.device) for side in light.shape[-2:])
    return (
        torch.stack([(light.sum(-2) * columns).sum(-1), (light.sum(-1) * rows).sum(-1)], -1) / mass[..., None]
    )


def distances(one: Counts, other: Counts, first: int) -> dict[str, Any]:
    """Per frame and as means over the frames from index ``first`` on (None if there is none).

    ``total_variation``: half the sum of absolute differences, 0 to 1. ``wasserstein``: between the marginals,
    mean over the two axes, in pixels per frame.
    """
    variation = 0.5 * np.abs(one - other).sum((1, 2))
    axes = [np.abs(np.cumsum((one - other).sum(axis), -1)).sum(-1) for axis in (1, 2)]
    curves = {"total_variation": variation, "wasserstein": np.mean(axes, axis=0)}
    after = {
        name: float(curve[first:].mean()) if first < len(curve) else None for name, curve in curves.items()
    }
    return {"after_wall": after, **{name: curve.tolist() for name, curve in curves.items()}}


def summarise_example(example: Example, folder: Path, protocol: SamplingProtocol) -> dict[str, Any]:
    """All distances to the truth."""
    fresh = max(example.first_wall + 1 - protocol.seen, 0)
    return {
        "data": str(folder),
        "first_wall": example.first_wall,
        "models": {name: distances(counts, example.truth, fresh) for name, counts in example.models.items()},
        "halves": distances(*example.halves, fresh),
    }


def _sampled(model: SVG, videos: np.ndarray, protocol: SamplingProtocol) -> Float[np.ndarray, "n L 2"]:
    """Velocities in sampled videos, from frame to frame."""
    device = next(model.parameters()).device
    found = list[Tensor]()
    for index, video in enumerate(videos):
        seen = to_tensor(video[: protocol.seen], device)
        noise = draw_noise(model, protocol, index, SAMPLES)
        idle = seen.new_zeros(protocol.seen + protocol.generated - 1, model.config.actions)
        with autocast(device):
            pictures = torch.stack(list(futures(model, seen, noise, idle)), 1)
        last = seen[-1].expand(len(noise), 1, -1, -1, -1)
        found.append(centre_of_light(torch.cat([last, pictures], 1)).diff(dim=1))
    return torch.cat(found).cpu().numpy()
