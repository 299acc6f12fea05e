"""Training data of an SVG model: videos in memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from tqdm import tqdm

from world_models.data import DataError, SequenceDataset
from world_models.frames import to_tensor
from world_models.svg.config import SVGConfig

READ = 250
"""Videos read at a time."""


@dataclass(frozen=True)
class VideoSet:
    """Videos of equal length; ``actions[:, t]`` leads from frame t to frame t + 1."""

    frames: UInt8[np.ndarray, "n T H W C"]
    actions: Float[torch.Tensor, "n T-1 A"]

    def __len__(self) -> int:
        return len(self.frames)

    def pictures(
        self, rows: Int[torch.Tensor, " b"], times: Int[torch.Tensor, "b k"], device: torch.device
    ) -> Float[torch.Tensor, "b k C H W"]:
        """Frames ``times[i]`` of video ``rows[i]``."""
        return to_tensor(self.frames[rows.numpy()[:, None], times.numpy()], device)


def open_videos(folder: Path, config: SVGConfig, held_out: int) -> list[SequenceDataset]:
    """The data sets of a folder: the one in it, or else those in its folders, in the order of their names.

    Raises:
        DataError: there is none, one does not fit the model, or has nothing left to learn from.
    """
    folders = sorted({path.parent for path in folder.glob("*/shard-*.h5")})
    sets = [SequenceDataset(path) for path in folders or [folder]]
    size, actions = config.image_size, config.actions
    for data in sets:
        shape, acted = data.shapes["frames"], data.shapes["actions"][-1]
        if shape[1:] != (size, size, config.channels):
            raise DataError(
                f"{data.folder} has frames {shape}, the model needs {size} x {size} x {config.channels}"
            )
        if actions and acted != actions:
            raise DataError(f"{data.folder} has {acted} actuators, the model is driven by {actions}")
        if shape[0] != sets[0].shapes["frames"][0]:
            raise DataError(f"{data.folder} and {sets[0].folder} have videos of different length")
        data.known(held_out)
    return sets


def read_known(sets: Sequence[SequenceDataset], config: SVGConfig, held_out: int, most: int) -> VideoSet:
    """The first videos of each data set that may be learned from, at most so many."""
    return _read([(data, 0, min(data.known(held_out), most)) for data in sets], config)


def read_held_out(sets: Sequence[SequenceDataset], config: SVGConfig, held_out: int, most: int) -> VideoSet:
    """The first held-out videos of each data set, at most so many."""
    starts = [(data, data.start_of_last(held_out)) for data in sets]
    return _read([(data, start, min(start + most, len(data))) for data, start in starts], config)


def _read(ranges: Sequence[tuple[SequenceDataset, int, int]], config: SVGConfig) -> VideoSet:
    count = sum(stop - start for _, start, stop in ranges)
    shapes = ranges[0][0].shapes
    frames = np.empty((count, *shapes["frames"]), np.uint8)
    actions = np.zeros((count, shapes["frames"][0] - 1, config.actions), np.float32)
    row = 0
    with tqdm(total=count, desc=f"{'read videos':>12}") as bar:
        for data, start, stop in ranges:
            for batch in data.batches(READ, start, stop):
                rows = slice(row, row + len(batch))
                frames[rows], actions[rows] = batch.frames, batch.actions[..., : config.actions]
                row += len(batch)
                bar.update(len(batch))
    return VideoSet(frames, torch.from_numpy(actions))
