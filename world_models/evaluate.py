"""Measure trained models.

``python -m world_models.evaluate keyin-push --model DIR --data DIR``: what a planner needs of a KeyIn model.
``python -m world_models.evaluate keyframes --runs push:keyin:0=runs/keyin-push --out keyframes.json``: the
keyframe table, all methods on held-out sequences.
``python -m world_models.evaluate rewards --out rewards.json``: the table of reward prediction, all arms.
``python -m world_models.evaluate struct-vrnn-dmc --out struct-vrnn-dmc.json``: tracking errors, diversity,
SSIM and PSNR, all arms.
"""

import json
import shlex
import sys
from pathlib import Path

import torch
import tyro
from pydantic import BaseModel, ConfigDict

from world_models.checkpoint import write_bytes
from world_models.data import SequenceDataset
from world_models.frames import to_tensor
from world_models.keyframe_pictures import reconstruction_strips, sampled_paths
from world_models.keyframe_results import Row, markdown_table
from world_models.keyframe_table import (
    PROTOCOLS,
    TrainedRun,
    learned_row,
    load_model,
    read_flags,
    trivial_rows,
)
from world_models.keyin.figures import Figures, measure
from world_models.keyin.model import KeyIn
from world_models.keyin.recipe import ObjectColor
from world_models.struct_vrnn import reward_table
from world_models.struct_vrnn.evaluation import TrackingEvaluation, evaluate_tracking
from world_models.struct_vrnn.reward_table import RewardEvaluation, evaluate_rewards
from world_models.struct_vrnn.tracking_table import markdown_tables

PICTURED = 4
"""Sequences in the pictures: the first held-out ones."""


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


class KeyframeEvaluation(BaseModel):
    """The keyframe table: how well every method finds the recorded keyframes of sequences it has not seen.

    Attributes:
        runs: trained runs as ``dataset:method:seed=folder``; data sets brownian and push, methods
            static-learned and keyin (they use ``folder/model``) and surprise (also ``folder/svg``).
        brownian: data folder; its rows are left out if there is none.
        push: data folder; its rows are left out if there is none.
        out: JSON file to write.
        pictures: folder of pictures to make of every keyin run.
        sequences: how many to use: the last ones, which training holds out.
        seed: seed of the posterior and prior samples.
        device: ``cpu``, ``cuda``, ...
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    runs: tuple[str, ...] = ()
    brownian: Path = Path("data/brownian")
    push: Path = Path("data/push")
    out: Path = Path("keyframes.json")
    pictures: Path | None = None
    sequences: int = 1000
    seed: int = 0
    device: str = "cpu"


def evaluate(job: Evaluation) -> Figures:
    """Measure, write ``job.out`` and answer the figures.

    Raises:
        CheckpointError: the model folder is damaged.
        DataError: the data is missing.
        ValueError: there are fewer sequences than asked for.
    """
    model = KeyIn.load(job.model, job.device)
    data = SequenceDataset(job.data)
    start = _held_out(data, job.sequences)
    generator = torch.Generator().manual_seed(job.seed)
    figures = measure(model, data, start, len(data), job.object, generator)
    write_bytes(job.out, (json.dumps(figures, indent=2) + "\n").encode())
    return figures


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
        start = _held_out(data, job.sequences)
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


def _held_out(data: SequenceDataset, sequences: int) -> int:
    """Index of the first of the last ``sequences`` sequences."""
    if not 1 <= sequences <= len(data):
        raise ValueError(f"{data.folder} has {len(data)} sequences, {sequences} were asked for")
    return len(data) - sequences


def main() -> None:
    """Read the command line and measure."""
    job = tyro.extras.subcommand_cli_from_dict(
        {
            "keyin-push": Evaluation,
            "keyframes": KeyframeEvaluation,
            "rewards": RewardEvaluation,
            "struct-vrnn-dmc": TrackingEvaluation,
        },
        prog="python -m world_models.evaluate",
    )
    command = shlex.join(["python", "-m", "world_models.evaluate", *sys.argv[1:]])
    try:
        if isinstance(job, KeyframeEvaluation):
            print(markdown_table(evaluate_keyframes(job)))
            return
        if isinstance(job, RewardEvaluation):
            print(reward_table.markdown_table(evaluate_rewards(job, command)))
            return
        if isinstance(job, TrackingEvaluation):
            print(markdown_tables(evaluate_tracking(job, command)))
            return
        figures = evaluate(job)
    except (ValueError, RuntimeError) as error:
        raise SystemExit(str(error)) from error
    for name, value in figures.items():
        print(f"{name:40} {'-' if value is None else format(value, 'g')}")


if __name__ == "__main__":
    main()
