"""Videos of objects as a Kalman model's training reads them."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from world_models.data import SequenceDataset

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
