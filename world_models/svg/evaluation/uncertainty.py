"""Does the learned prior know when walls are hit (section 4.2, Fig. 6)? It is shown true frames only."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.lib.stride_tricks import sliding_window_view

from world_models.data import SequenceDataset
from world_models.frames import to_tensor
from world_models.precision import autocast
from world_models.svg.model import SVG

BATCH = 25
RESAMPLED = 1000
"""How often videos are drawn with replacement for an interval."""
NEAR = 2
"""Frames that are no further than this from a new velocity are not quiet."""
KNOWN = 2
"""From this frame on, counted from 0, the velocity can be known from frames before."""


@dataclass(frozen=True)
class Spreads:
    """The prior's standard deviation of frames 1..T-1, mean over the latent's dimensions."""

    values: Float[np.ndarray, "n L"]
    fresh: Bool[np.ndarray, "n L digits"]
    """True where a frame is the first to show a new velocity of a digit: the one after a hit."""


@torch.no_grad()
def measure_spreads(model: SVG, data: SequenceDataset, start: int, digits: int) -> Spreads:
    """Of all videos from ``start`` on; their first ``digits`` states say where a digit hits a wall."""
    device, values, fresh = next(model.parameters()).device, [], []
    for batch in data.batches(BATCH, start):
        with autocast(device):
            spread = model.prior_spread(to_tensor(batch.frames, device))
        values.append(spread.float().mean(-1).cpu().numpy())
        fresh.append(batch.states[:, :-1, :digits] > 0.5)
    return Spreads(np.concatenate(values), np.concatenate(fresh))


def compare_spreads(spreads: Spreads, generator: np.random.Generator) -> dict[str, Any]:
    """Mean at frames with a new velocity over that at others, with a 95 % bootstrap interval over videos.

    The first predicted frame counts in ``ratio_with_first_frame`` only: nobody can know the velocity there.
    ``ratio_to_quiet`` compares with the frames that have no new velocity within :data:`NEAR` frames.
    """
    values, fresh = spreads.values, np.logical_or.reduce(spreads.fresh, axis=-1)
    late = np.broadcast_to(np.arange(1, values.shape[1] + 1) >= KNOWN, values.shape)
    padded = np.pad(fresh, ((0, 0), (NEAR, NEAR)))
    near = sliding_window_view(padded, 2 * NEAR + 1, axis=1).any(-1)
    at, elsewhere, quiet = (np.logical_and(kind, late) for kind in (fresh, ~fresh, ~near))
    return {
        "videos": len(values),
        "frames": values.shape[1] + 1,
        "at_new_velocity": float(values[at].mean()),
        "elsewhere": float(values[elsewhere].mean()),
        "ratio": _ratio(values, at, elsewhere, generator),
        "ratio_to_quiet": _ratio(values, at, quiet, generator),
        "ratio_with_first_frame": _ratio(values, fresh, ~fresh, generator),
    }


def _ratio(
    values: Float[np.ndarray, "n T"],
    one: Bool[np.ndarray, "n T"],
    other: Bool[np.ndarray, "n T"],
    generator: np.random.Generator,
) -> dict[str, float]:
    """Mean of one kind of frame over that of another."""
    parts = [(values * mask).sum(1) for mask in (one, other)]
    parts += [mask.sum(1) for mask in (one, other)]
    table = np.stack(parts, axis=-1)
    drawn = generator.integers(len(table), size=(RESAMPLED, len(table)))
    low, high = np.quantile([_divide(table[rows].sum(0)) for rows in drawn], [0.025, 0.975])
    return {"mean": _divide(table.sum(0)), "low": float(low), "high": float(high)}


def _divide(sums: Float[np.ndarray, "4"]) -> float:
    """Mean of the one kind of frame over that of the other."""
    at, elsewhere, count, rest = sums
    return float((at / count) / (elsewhere / rest))
