"""Training TAP on the pictures of a finished KeyIn run."""

import json
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict
from torch import Tensor
from tqdm import tqdm

from world_models.checkpoint import load_weights, write_card, write_model
from world_models.data import SequenceDataset, read_attributes
from world_models.files import save_array, write_bytes
from world_models.frames import to_tensor
from world_models.keyin.model import KeyIn
from world_models.keyin.recipe import KeyInRecipe, ObjectColor
from world_models.keyin.training import READ, cache_embeddings
from world_models.precision import autocast
from world_models.tap.model import Tap, TapConfig
from world_models.tap.training import TapStage, goal_pictures, train_tap
from world_models.training.run import Session, TrainingRun


class TapRecipe(BaseModel):
    """How TAP learns; everything about pictures and data is the base's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    latent: int = 4
    tap: TapStage
    object: ObjectColor = ObjectColor()
    """The thing whose place makes a picture a goal."""


class TapRun(TrainingRun):
    """One training run; see :class:`TrainingRun`."""

    data: Path = Path("data/push")
    """Folder of demonstrations."""
    base: Path = Path("runs/keyin-push")
    """A finished KeyIn run on the same data, whose autoencoder and embeddings are used."""
    out: Path = Path("runs/tap-push")
    recipe: TapRecipe
    """The preset's settings, each of which can be changed."""


def train_on_pictures(run: TapRun, command: str) -> Path:
    """Train and export the model; answers the model folder.

    Raises:
        DataError: the data is missing.
        ValueError: the base is no finished run, or ``run.out`` holds a run with other settings.
    """
    data = SequenceDataset(run.data)
    if not (run.base / "recipe.json").exists():
        raise ValueError(f"{run.base} is no KeyIn run: it has no recipe.json")
    theirs = _read_recipe(run.base)
    settings = run.model_dump_json(include={"seed", "recipe"})
    path = run.out / "run.json"
    if path.exists() and path.read_text() != settings:
        raise ValueError(f"{run.out} holds a run with other settings; choose another --out")
    write_bytes(path, settings.encode())
    torch.set_num_threads(run.threads)
    session = Session(run.out, run.seed, torch.device(run.device))
    pictures = KeyIn(theirs.model)
    load_weights(run.base / "autoencoder.safetensors", pictures.autoencoder)
    pictures.to(session.device).eval().requires_grad_(False)
    known = len(data) - theirs.held_out
    embeddings = cache_embeddings(pictures, data, run.base / "embeddings", session)[:known]
    goals = embed_goals(pictures, data, known, run.recipe.object, session)
    config = TapConfig(embedding=theirs.model.embedding, latent=run.recipe.latent)
    with session.initial_weights():
        tap = Tap(config).to(session.device)
    train_tap(tap, embeddings[:, theirs.model.context - 1 :], goals, run.recipe.tap, session)
    folder = run.out / "model"
    write_model(folder, config, tap, "")
    write_card(folder, _card(run, data, command))
    return folder


def _read_recipe(base: Path) -> KeyInRecipe:
    return KeyInRecipe.model_validate_json((base / "recipe.json").read_text())


@torch.no_grad()
def embed_goals(
    pictures: KeyIn, data: SequenceDataset, count: int, thing: ObjectColor, session: Session
) -> Float[Tensor, "n F"]:
    """Embeddings of the goal pictures of the first ``count`` sequences; kept in ``goals.npy``."""
    path = session.folder / "goals.npy"
    if not path.exists():
        parts = []
        for first in tqdm(range(0, count, READ), desc=f"{'goals':>12}"):
            frames = to_tensor(data[first : min(first + READ, count)].frames, session.device)
            goals = goal_pictures(frames, thing.color, thing.tolerance)
            with autocast(session.device):
                parts.append(pictures.autoencoder.encode(goals).half().cpu().numpy())
        save_array(path, np.concatenate(parts))
    return torch.from_numpy(np.load(path, allow_pickle=False))


def _card(run: TapRun, data: SequenceDataset, command: str) -> str:
    origin = json.dumps(read_attributes(data.paths[0]), sort_keys=True)
    return f"""# TAP

Predicts pictures between a start and a goal, whenever they come: a baseline for KeyIn. It works on the
embeddings of the autoencoder of `{run.base}` and holds none of its own.
Method: Jayaraman et al. 2019, *Time-Agnostic Prediction*, as the KeyIn paper uses it for planning.

## Data
{len(data)} sequences. First shard: `{origin}`

## Training
`{command}` (seed {run.seed})

- tap: {run.recipe.tap.model_dump_json()}

## Decisions the papers leave open
Several subgoals come from halving: the middle one first, then those on either side of it. A small latent
with a learned prior decides between several bottlenecks (the side of a wall). A quarter of a segment at
either end is no target, since the ends themselves are safe bets. Goals are pictures with the object at the
goal and the robot at its start, as a planner is given them.
"""
