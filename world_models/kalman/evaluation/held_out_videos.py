"""Videos of cannonballs that models are tested on, and where the balls truly are."""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from world_models.data import SequenceDataset
from world_models.frames import to_tensor

CHUNK = 250
"""Sequences read together."""


@dataclass(frozen=True)
class TestVideos:
    """Videos with one number of balls. Places are in pixels, x right and y down."""

    __test__ = False

    frames: Float[Tensor, "n T 1 H W"]
    positions: Float[Tensor, "n N T 2"]
    """Where the balls truly are: errors are distances to these."""
    seen: Float[Tensor, "n N T 2"]
    """Where they are drawn, up to whole pixels: with noise."""


def read_test_videos(folder: Path, balls: int, sequences: int) -> TestVideos:
    """The first sequences of ``folder/<balls>``.

    Raises:
        DataError: there is no such folder.
        ValueError: it has fewer sequences, or states that are not those of so many balls.
    """
    data = SequenceDataset(folder / str(balls))
    if len(data) < sequences:
        raise ValueError(f"{data.folder} has {len(data)} sequences, {sequences} were asked for")
    if data.shapes["states"][1] != 6 * balls:
        raise ValueError(
            f"states of {balls} balls have {6 * balls} numbers (velocity, position and seen position), "
            f"{data.folder} has {data.shapes['states'][1]}"
        )
    batch = data[:sequences]
    states = torch.from_numpy(batch.states).unflatten(-1, (3, balls, 2)).permute(2, 0, 3, 1, 4)
    return TestVideos(to_tensor(batch.frames), states[1].contiguous(), states[2].contiguous())


def mean_pictures(folder: Path, balls: int, sequences: int) -> Float[Tensor, "T 1 H W"]:
    """Share of videos in which every pixel of every frame is white, over the first ones of a folder.

    Raises:
        DataError: there is no such folder.
    """
    data = SequenceDataset(folder / str(balls))
    total, count = torch.zeros(()), min(sequences, len(data))
    for batch in data.batches(CHUNK, 0, count):
        total = total + to_tensor(batch.frames).sum(dim=0)
    return total / count
