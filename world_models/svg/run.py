"""Training an SVG model of pictures from data to model folder."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from time import process_time

import torch

from world_models.data import SequenceDataset
from world_models.svg.card import card_text
from world_models.svg.model import SVG
from world_models.svg.published.end_to_end import train_end_to_end
from world_models.svg.recipe import SVGRecipe, SVGRun
from world_models.svg.training import cache_embeddings, train_dynamics, train_vision
from world_models.svg.validation import measure
from world_models.svg.videos import open_videos, read_held_out, read_known
from world_models.training.run import (
    claim,
    differences_to_base,
    export,
    origin_of,
    refuse_base,
    take_over,
)

VISION, EMBEDDINGS = "vision.safetensors", "embeddings.npy"

SEEN = 5
"""Frames that are given where predictions are measured (section 4.2)."""
MEASURED = 100
"""Held-out videos of each data set that the card's figures are measured on, at most."""


def train_svg_model(run: SVGRun, command: str) -> Path:
    """Run all stages and export the model; answers the model folder.

    Args:
        run: what to train.
        command: how the run was started; goes into the model card.

    Raises:
        DataError: the data is missing or does not fit the recipe.
        ValueError: ``run.out`` holds another run, or ``run.base`` no finished one.
    """
    recipe = run.recipe
    sets = open_videos(run.data, recipe.model, recipe.held_out)
    _check_length(sets, recipe)
    origin = {data.folder.name: origin_of(data) for data in sets}
    shared = []
    if run.base is not None and recipe.end_to_end is not None:
        raise ValueError("a model trained end to end builds on no other run; leave out --base")
    if run.base is not None:
        different = differences_to_base(run.base, run, origin, (VISION, EMBEDDINGS))
        refuse_base(run.base, [name for name in different if _decides_on_embeddings(name)])
        shared = [run.base / VISION]
    session = claim(run, origin, shared)
    take_over(shared, session)
    with session.initial_weights():
        model = SVG(recipe.model).to(session.device)
    videos = read_known(sets, recipe.model, recipe.held_out, recipe.videos)
    if recipe.end_to_end is not None:
        began = process_time()
        train_end_to_end(model, videos, recipe.end_to_end, session)
        session.log(stage="all", cpu_seconds=round(process_time() - began, 3))
    else:
        train_vision(model, videos, recipe.vision, session)
        embeddings = cache_embeddings(model, videos, (run.base or run.out) / EMBEDDINGS, session)
        train_dynamics(model, embeddings, videos, recipe, session)
    held_out = read_held_out(sets, recipe.model, recipe.held_out, MEASURED)

    def figures(stored: SVG) -> dict[str, float]:
        found = measure(stored, held_out, SEEN, torch.Generator().manual_seed(run.seed))
        session.write_json("figures.json", found)
        return found

    return export(session, model, figures, partial(card_text, run, sets, command))


def _check_length(sets: Sequence[SequenceDataset], recipe: SVGRecipe) -> None:
    """Videos must be long enough to learn from and to measure."""
    length = sets[0].shapes["frames"][0]
    if length < (needed := max(recipe.vision.targets, SEEN) + 1):
        raise ValueError(f"{sets[0].folder} has videos of {length} frames, the recipe needs {needed}")


def _decides_on_embeddings(setting: str) -> bool:
    """Whether encoder, decoder and embeddings depend on a setting."""
    recurrent = setting.startswith(("recipe.dynamics.", "recipe.model.recurrent."))
    return not recurrent or setting == "recipe.model.recurrent.embedding"
