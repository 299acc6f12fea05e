"""Training TAP on the pictures of a finished KeyIn run."""

from functools import partial
from pathlib import Path

from world_models.checkpoint import load_weights
from world_models.data import SequenceDataset
from world_models.keyin.model import KeyIn
from world_models.keyin.recipe import KeyInRecipe
from world_models.keyin.training import cache_embeddings
from world_models.tap.card import card_text
from world_models.tap.config import TapConfig
from world_models.tap.model import Tap
from world_models.tap.recipe import TapRun
from world_models.tap.training import embed_goals, train_tap
from world_models.training.run import (
    claim,
    differences_to_base,
    export,
    origin_of,
    read_recipe,
    refuse_base,
)

AUTOENCODER, EMBEDDINGS = "autoencoder.safetensors", "embeddings"
"""What is used of the base."""


def train_on_pictures(run: TapRun, command: str) -> Path:
    """Train and export the model; answers the model folder.

    Raises:
        DataError: the data is missing.
        ValueError: the base is no finished run on the same data, or ``run.out`` holds another run.
    """
    data = SequenceDataset(run.data)
    origin = origin_of(data)
    different = differences_to_base(run.base, run, origin, (AUTOENCODER, EMBEDDINGS))
    refuse_base(run.base, [name for name in different if name.startswith("data.")])
    session = claim(run, origin, [run.base / AUTOENCODER])
    theirs = KeyInRecipe.model_validate(read_recipe(run.base))
    pictures = KeyIn(theirs.model)
    load_weights(run.base / AUTOENCODER, pictures.autoencoder)
    pictures.to(session.device).eval().requires_grad_(False)
    known = data.known(theirs.held_out)
    embeddings = cache_embeddings(pictures, data, run.base / EMBEDDINGS, session)[:known]
    goals = embed_goals(pictures, data, known, run.recipe.object, session)
    with session.initial_weights():
        tap = Tap(TapConfig(embedding=theirs.model.embedding, latent=run.recipe.latent)).to(session.device)
    train_tap(tap, embeddings[:, theirs.model.context - 1 :], goals, run.recipe.tap, session)
    return export(session, tap, lambda _: None, partial(card_text, run, data, command))
