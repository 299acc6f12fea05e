"""Training data of a Struct-VRNN: sequences of several tasks, drawn evenly."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from tqdm import tqdm

from world_models.data import DataError, SequenceDataset, read_attributes
from world_models.frames import to_tensor
from world_models.losses import color_rarity
from world_models.struct_vrnn.config import StructVRNNConfig

READ = 50
"""Sequences read at a time: about 12 MB of pictures."""


@dataclass(frozen=True)
class TaskData:
    """The sequences of one task."""

    name: str
    """The task; empty for a data set without tasks."""
    sequences: SequenceDataset
    known: int
    """How many sequences, from the first, may be learned from."""
    observation: int
    """How many of the true state's numbers are the task's own observation."""
    bodies: tuple[str, ...]
    """Names of the bodies whose pixel positions (x, y) follow in the state."""

    @property
    def actions(self) -> int:
        """Actuators."""
        return self.sequences.shapes["actions"][-1]

    def positions(self, states: Float[np.ndarray, "n T S"]) -> Float[np.ndarray, "n T J 2"]:
        """True pixel positions of the bodies (x to the right, y down, pixel centres are integers)."""
        return states[..., self.observation :].reshape(*states.shape[:-1], len(self.bodies), 2)


def open_tasks(folder: Path, config: StructVRNNConfig, held_out: int) -> list[TaskData]:
    """The data of every task of a model: ``folder/<task>``, or ``folder`` itself for a model without tasks.

    Raises:
        DataError: data is missing, does not fit the model, or has nothing left to learn from.
    """
    return [_open(folder / task, task, config, held_out) for task in config.tasks or ("",)]


def _open(folder: Path, task: str, config: StructVRNNConfig, held_out: int) -> TaskData:
    data = SequenceDataset(folder)
    attributes = read_attributes(data.paths[0])
    size = config.image_size
    if data.shapes["frames"][1:] != (size, size, 3):
        raise DataError(f"{folder} has frames {data.shapes['frames']}, the model needs {size} x {size} x 3")
    if data.shapes["actions"][-1] > config.actions:
        raise DataError(
            f"{folder} has {data.shapes['actions'][-1]} actuators, the model takes at most {config.actions}"
        )
    bodies = tuple(name for name in str(attributes.get("bodies", "")).split(",") if name)
    observation = int(attributes.get("observation", data.shapes["states"][-1] - 2 * len(bodies)))
    return TaskData(task, data, data.known(held_out), observation, bodies)


def check_observed(task: TaskData, observed: int) -> None:
    """Make sure that frames are left to imagine after the observed ones.

    Raises:
        ValueError: there are none.
    """
    most = task.sequences.shapes["frames"][0] - 1
    if observed > most:
        raise ValueError(f"observed must be 1 to {most}, which leaves frames to imagine; got {observed}")


@dataclass(frozen=True)
class Known:
    """What may be learned from, in memory: about 12 kB per frame of 64 x 64 pixels."""

    frames: Sequence[UInt8[np.ndarray, "_n T H W C"]]
    positions: Sequence[Float[np.ndarray, "_n T _J 2"]]

    @cached_property
    def rarity(self) -> Float[torch.Tensor, "512"]:
        """How rare colours are, measured on about 2,000 frames, evenly spaced."""
        flat = [part.reshape(-1, *part.shape[2:]) for part in self.frames]
        some = [part[:: max(1, len(part) * len(flat) // 2000)] for part in flat]
        return color_rarity(to_tensor(np.concatenate(some)))


def read_known(tasks: Sequence[TaskData], most: int) -> Known:
    """Read the first sequences that may be learned from, at most so many of each task."""
    frames, positions = [], []
    for task in tasks:
        count = min(task.known, most)
        pictures = np.empty((count, *task.sequences.shapes["frames"]), np.uint8)
        places = np.empty((*pictures.shape[:2], len(task.bodies), 2), np.float32)
        for first in tqdm(range(0, count, READ), desc=f"{task.name or 'read frames':>12.12}"):
            batch = task.sequences[first : min(first + READ, count)]
            pictures[first : first + len(batch)] = batch.frames
            places[first : first + len(batch)] = task.positions(batch.states)
        frames.append(pictures)
        positions.append(places)
    return Known(frames, positions)


def draw_rows(
    counts: Sequence[int], batch: int, generator: torch.Generator
) -> list[tuple[int, Int[np.ndarray, " _"]]]:
    """``batch`` sequences as (task, rows): every task has the same share, up to one sequence."""
    first = int(torch.randint(len(counts), (), generator=generator))
    drawn = []
    for k, count in enumerate(counts):
        share = (batch + (k - first) % len(counts)) // len(counts)
        if share:
            drawn.append((k, torch.randint(count, (share,), generator=generator).numpy()))
    return drawn
