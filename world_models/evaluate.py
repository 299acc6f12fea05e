"""Measure a trained model: ``python -m world_models.evaluate keyin-push --model DIR --data DIR``."""

import json
from pathlib import Path

import torch
import tyro
from pydantic import BaseModel, ConfigDict

from world_models.checkpoint import write_bytes
from world_models.data import SequenceDataset
from world_models.keyin.figures import Figures, measure
from world_models.keyin.model import KeyIn
from world_models.keyin.recipe import ObjectColor


class Evaluation(BaseModel):
    """Figures of a KeyIn model on demonstrations it has not seen.

    Attributes:
        model: model folder.
        data: folder of demonstrations.
        out: JSON file to write.
        sequences: how many to use: the last ones, which training holds out.
        seed: seed of the prior samples.
        device: ``cpu``, ``cuda``, ...
        object: the thing to look for in pictures.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: Path
    data: Path = Path("data/push")
    out: Path = Path("keyin.json")
    sequences: int = 1000
    seed: int = 0
    device: str = "cpu"
    object: ObjectColor = ObjectColor()


def evaluate(job: Evaluation) -> Figures:
    """Measure, write ``job.out`` and answer the figures.

    Raises:
        CheckpointError: the model folder is damaged.
        DataError: the data is missing.
        ValueError: there are fewer sequences than asked for.
    """
    model = KeyIn.load(job.model, job.device)
    data = SequenceDataset(job.data)
    if not 1 <= job.sequences <= len(data):
        raise ValueError(f"{job.data} has {len(data)} sequences, {job.sequences} were asked for")
    generator = torch.Generator().manual_seed(job.seed)
    figures = measure(model, data, len(data) - job.sequences, len(data), job.object, generator)
    write_bytes(job.out, (json.dumps(figures, indent=2) + "\n").encode())
    return figures


def main() -> None:
    """Read the command line and measure."""
    job = tyro.extras.subcommand_cli_from_dict(
        {"keyin-push": Evaluation}, prog="python -m world_models.evaluate"
    )
    try:
        figures = evaluate(job)
    except (ValueError, RuntimeError) as error:
        raise SystemExit(str(error)) from error
    for name, value in figures.items():
        print(f"{name:40} {'-' if value is None else format(value, 'g')}")


if __name__ == "__main__":
    main()
