"""Giving a finished KeyIn a reader: ``python -m world_models.train reader --model keyin-push``."""

import hashlib
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict

from world_models.checkpoint import read_model, write_card, write_reader
from world_models.data import SequenceDataset
from world_models.frames import to_tensor
from world_models.keyin.model import KeyIn
from world_models.keyin.reader.network import load_reader
from world_models.keyin.reader.training import ReaderStage, measure_reader, train_reader
from world_models.shipped import find_folder, ship
from world_models.training.card import data_section, first_shard, training_section
from world_models.training.method import Refinement
from world_models.training.run import TrainingRun, claim, origin_of

SEQUENCES = 300
"""Most sequences whose frames plans are imagined from: their scenes are what matters."""


class ReaderRecipe(BaseModel):
    """One stage."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reader: ReaderStage = ReaderStage(steps=4000, batch=256, learning_rate=1e-3)


class ReaderRun(TrainingRun):
    """One training run; see :class:`TrainingRun`."""

    model: str = "keyin-push"
    """Shipped model or model folder; it stays as it is."""
    data: Path = Path("data/push")
    """Folder of sequences of the model's world, of which a few hundred are enough."""
    out: Path = Path("runs/reader")
    recipe: ReaderRecipe = ReaderRecipe()


def give_reader(run: ReaderRun, command: str) -> Path:
    """Train a reader and write the model folder that has it; answers the folder.

    Raises:
        DataError: the data is missing or does not fit the model.
        ValueError: there is no such model, it has no goal, or ``run.out`` holds another run.
        CheckpointError: the model's files are damaged, or it is no KeyIn.
    """
    folder, data = find_folder(run.model), SequenceDataset(run.data)
    stored = read_model(folder)
    session = claim(run, origin_of(data) | {"model": stored.digest})
    model = KeyIn.load(folder, session.device)
    size = model.config.image_size
    if data.shapes["frames"][1:] != (size, size, 3):
        raise ValueError(
            f"{run.data} has frames {data.shapes['frames']}, the model needs {size} x {size} x 3"
        )
    embeddings = _embed(model, data, session.device)
    learned, held_out = embeddings[: len(embeddings) * 9 // 10], embeddings[len(embeddings) * 9 // 10 :]
    reader = train_reader(model, learned, run.recipe.reader, session)
    ship("model", folder, session.folder)
    write_reader(session.folder / "model", reader.state_dict())
    kept = load_reader(read_model(session.folder / "model"), size, session.device)
    assert kept is not None
    figures = measure_reader(kept, model, held_out, run.recipe.reader, run.seed)
    digest = hashlib.sha256(stored.card.encode()).hexdigest()[:12]
    card = f"""{stored.card.rstrip()}

# A reader
Reads the places of what is to be moved off embeddings, so that a search need not decode them. All else is as
above (weights {stored.weights_digest[:12]}, card {digest}).

{data_section((f"Frames of {len(embeddings)} sequences.", f"First shard: {first_shard(data)}"))}

{training_section(command, run.seed, {"reader": run.recipe.reader})}
On keyframes imagined from other sequences: {", ".join(f"{name} {value}" for name, value in figures.items())}
(errors in pixels; `there`: how often it knows whether an object is there).
"""
    write_card(session.folder / "model", card)
    return session.folder / "model"


@torch.no_grad()
def _embed(model: KeyIn, data: SequenceDataset, device: torch.device) -> torch.Tensor:
    parts = []
    for batch in data.batches(10, 0, min(SEQUENCES, len(data))):
        frames = to_tensor(batch.frames.reshape(-1, *batch.frames.shape[2:]), device)
        parts.append(model.embed(frames).unflatten(0, batch.frames.shape[:2]).float().cpu())
    return torch.cat(parts)


READER = Refinement(
    runs={"reader": ("a finished KeyIn whose plans are searched for without pictures", ReaderRun())},
    train=give_reader,
)
