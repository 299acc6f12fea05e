"""Measure a KeyIn model: what a planner needs of it."""

import json
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict

from world_models.data import SequenceDataset
from world_models.files import write_bytes
from world_models.keyin.figures import Figures, measure
from world_models.keyin.model import KeyIn
from world_models.keyin.recipe import ObjectColor


class KeyInEvaluation(BaseModel):
    """Figures of a KeyIn model on demonstrations it has not seen."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: Path
    """Model folder."""
    data: Path = Path("data/push")
    """Folder of demonstrations."""
    out: Path = Path("keyin.json")
    """JSON file to write."""
    sequences: int = 1000
    """How many to use: the last ones, which training holds out."""
    seed: int = 0
    """Seed of the prior samples."""
    device: str = "cpu"
    """``cpu``, ``cuda``, ..."""
    object: ObjectColor = ObjectColor()
    """The thing to look for in pictures."""


def evaluate_keyin(job: KeyInEvaluation) -> Figures:
    """Measure, write ``job.out`` and answer the figures.

    Raises:
        CheckpointError: the model folder is damaged.
        DataError: the data is missing.
        ValueError: there are fewer sequences than asked for.
    """
    model = KeyIn.load(job.model, job.device)
    data = SequenceDataset(job.data)
    start = data.start_of_last(job.sequences)
    generator = torch.Generator().manual_seed(job.seed)
    figures = measure(model, data, start, len(data), job.object, generator)
    write_bytes(job.out, (json.dumps(figures, indent=2) + "\n").encode())
    return figures


def figure_lines(figures: Figures) -> str:
    """One figure per line, to print."""
    return "\n".join(
        f"{name:40} {'-' if value is None else format(value, 'g')}" for name, value in figures.items()
    )
