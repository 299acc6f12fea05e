"""Training TAP on the pictures of a finished KeyIn run."""

from pathlib import Path

import torch

from world_models.checkpoint import load_weights, write_card, write_model
from world_models.data import SequenceDataset
from world_models.files import write_bytes
from world_models.keyin.model import KeyIn
from world_models.keyin.recipe import KeyInRecipe
from world_models.keyin.training import cache_embeddings
from world_models.tap.card import _card
from world_models.tap.config import TapConfig
from world_models.tap.model import Tap
from world_models.tap.recipe import TapRun
from world_models.tap.training import embed_goals, train_tap
from world_models.training.run import Session


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
