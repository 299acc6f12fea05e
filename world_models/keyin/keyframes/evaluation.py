"""Measure how well every method finds recorded keyframes."""

import json
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict

from world_models.data import SequenceDataset
from world_models.files import write_bytes
from world_models.frames import to_tensor
from world_models.keyin.keyframes.pictures import reconstruction_strips, sampled_paths
from world_models.keyin.keyframes.results import Row
from world_models.keyin.keyframes.table import (
    PROTOCOLS,
    TrainedRun,
    learned_row,
    load_model,
    read_flags,
    trivial_rows,
)

PICTURED = 4
"""Sequences in the pictures: the first held-out ones."""


class KeyframeEvaluation(BaseModel):
    """The keyframe table: how well every method finds the recorded keyframes of sequences it has not seen."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    runs: tuple[str, ...] = ()
    """Trained runs, or their model folders, as ``dataset:method:seed=folder``; data sets brownian and push,
    methods static-learned and keyin (of a KeyIn model) and surprise (of an SVG with a fixed prior, or of a
    KeyIn run that one has taught)."""
    brownian: Path = Path("data/brownian")
    """Data folder; its rows are left out if there is none."""
    push: Path = Path("data/push")
    """Data folder; its rows are left out if there is none."""
    out: Path = Path("keyframes.json")
    """JSON file to write."""
    pictures: Path | None = None
    """Folder of pictures to make of every keyin run."""
    sequences: int = 1000
    """How many to use: the last ones, which training holds out."""
    seed: int = 0
    """Seed of the posterior and prior samples."""
    device: str = "cpu"
    """``cpu``, ``cuda``, ..."""


def evaluate_keyframes(job: KeyframeEvaluation) -> list[Row]:
    """Score every method, write ``job.out`` and the pictures, and answer the rows.

    Raises:
        CheckpointError: a model folder is missing or damaged.
        DataError: the data of a run is missing.
        ValueError: a run is not named as it should be or does not fit its data, or there are fewer sequences
            than asked for.
    """
    runs = [TrainedRun.parse(text) for text in job.runs]
    device, rows = torch.device(job.device), list[Row]()
    for name in PROTOCOLS:
        folder, mine = getattr(job, name), [run for run in runs if run.dataset == name]
        if not mine and not folder.exists():
            continue
        data = SequenceDataset(folder)
        start = data.start_of_last(job.sequences)
        rows += trivial_rows(name, read_flags(name, data, start))
        for run in mine:
            rows.append(learned_row(run, data, start, torch.Generator().manual_seed(job.seed), device))
            if run.method == "keyin" and job.pictures is not None:
                _draw(run, data, start, job, device)
    if not rows:
        raise ValueError(
            f"there is no data at {job.brownian} nor {job.push}; `python -m envs.collect` makes it"
        )
    write_bytes(job.out, (json.dumps(rows, indent=2) + "\n").encode())
    return rows


def _draw(
    run: TrainedRun, data: SequenceDataset, start: int, job: KeyframeEvaluation, device: torch.device
) -> None:
    """Strips and sampled paths of one KeyIn run."""
    assert job.pictures is not None
    model = load_model(run, data, device)
    batch = data[start : min(start + PICTURED, len(data))]
    frames = to_tensor(batch.frames, device)
    flags = torch.from_numpy(batch.keyframes)[:, model.config.context - 1 :]
    generator = torch.Generator().manual_seed(job.seed)
    stem = job.pictures / f"{run.dataset}-{run.seed}"
    reconstruction_strips(model, frames, flags, generator, Path(f"{stem}-reconstruction.png"))
    thing = PROTOCOLS[run.dataset].thing
    sampled_paths(model, frames, thing, generator, Path(f"{stem}-samples.png"))
