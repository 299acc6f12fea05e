"""Videos of objects as a Kalman model's training reads them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from world_models.data import SequenceDataset
from world_models.kalman.recipe import KalmanRecipe

CHUNK = 250
"""Sequences looked at together outside training."""


@dataclass(frozen=True)
class PackedVideos:
    """Black and white videos, eight pixels to a byte."""

    bits: UInt8[np.ndarray, "n T P"]
    size: int

    @classmethod
    def read(cls, data: SequenceDataset, start: int, stop: int) -> "PackedVideos":
        """Sequences ``start`` to ``stop - 1``."""
        batches = data.batches(CHUNK, start, stop)
        white = (
            np.moveaxis(batch.frames > 127, -1, 2).reshape(*batch.frames.shape[:2], -1) for batch in batches
        )
        bits = np.concatenate([np.packbits(part, axis=-1) for part in white])
        return cls(bits, data.shapes["frames"][1])

    def frames(self, rows: Int[np.ndarray, " B"] | slice) -> Float[Tensor, "B T 1 H W"]:
        """Some of them as pictures in [0, 1]."""
        bits = np.unpackbits(self.bits[rows], axis=-1, count=self.size**2)
        pixels = torch.from_numpy(bits).float()
        return pixels.unflatten(-1, (1, self.size, self.size))


def open_videos(folder: Path, recipe: KalmanRecipe) -> list[SequenceDataset]:
    """The data, one set per number of objects.

    Raises:
        DataError: a folder is missing.
        ValueError: pictures have another size, or there are too few videos.
    """
    size = recipe.model.image_size
    data = [SequenceDataset(folder / str(count + 1)) for count in range(recipe.model.most_objects)]
    for part in data:
        if part.shapes["frames"][1:] != (size, size, 1):
            raise ValueError(
                f"the recipe needs pictures of {size} x {size} x 1, {part.folder} has {part.shapes['frames']}"
            )
        part.known(recipe.held_out)
    return data
