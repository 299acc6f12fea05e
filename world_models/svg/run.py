"""Training an SVG model of pictures from data to model folder."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from world_models.checkpoint import write_card, write_model
from world_models.data import SequenceDataset, read_attributes
from world_models.files import write_bytes
from world_models.svg.card import card_text
from world_models.svg.model import SVG
from world_models.svg.recipe import SVGRecipe
from world_models.svg.training import cache_embeddings, train_dynamics, train_vision
from world_models.svg.validation import measure
from world_models.svg.videos import open_videos, read_held_out, read_known
from world_models.training.run import Session, TrainingRun, claim

VISION, EMBEDDINGS = "vision.safetensors", "embeddings.npy"

SEEN = 5
"""Frames that are given where predictions are measured (section 4.2)."""
MEASURED = 100
"""Held-out videos of each data set that the card's figures are measured on, at most."""


class SVGRun(TrainingRun):
    """One training run; see :class:`TrainingRun`.

    Attributes:
        data: folder of videos (``python -m envs.collect`` makes them), or of several such folders.
        base: a finished run on the same data whose encoder, decoder and embeddings are used instead of
            training new ones: how models that are compared see the same.
        recipe: the preset's settings, each of which can be changed.
    """

    data: Path = Path("data/digits")
    out: Path = Path("runs/svg-lp-digits")
    base: Path | None = None
    recipe: SVGRecipe


def train_svg_model(run: SVGRun, command: str) -> Path:
    """Run all stages and export the model; answers the model folder.

    Args:
        run: what to train.
        command: how the run was started; goes into the model card.

    Raises:
        DataError: the data is missing or does not fit the recipe.
        ValueError: ``run.out`` holds a run with other settings, or ``run.base`` no finished one.
    """
    recipe = run.recipe
    sets = open_videos(run.data, recipe.model, recipe.held_out)
    _check_length(sets, recipe)
    _claim(run, sets)
    torch.set_num_threads(run.threads)
    session = Session(run.out, run.seed, torch.device(run.device))
    with session.initial_weights():
        model = SVG(recipe.model).to(session.device)
    videos = read_known(sets, recipe.model, recipe.held_out, recipe.videos)
    train_vision(model, videos, recipe.vision, session)
    embeddings = cache_embeddings(model, videos, (run.base or run.out) / EMBEDDINGS, session)
    train_dynamics(model, embeddings, videos, recipe, session)
    folder = run.out / "model"
    write_model(folder, recipe.model, model, "")
    held_out = read_held_out(sets, recipe.model, recipe.held_out, MEASURED)
    generator = torch.Generator().manual_seed(run.seed)
    figures = measure(SVG.load(folder, session.device), held_out, SEEN, generator)
    write_bytes(run.out / "figures.json", (json.dumps(figures, indent=2) + "\n").encode())
    write_card(folder, card_text(recipe, run.seed, sets, command, figures))
    return folder


def _check_length(sets: Sequence[SequenceDataset], recipe: SVGRecipe) -> None:
    """Videos must be long enough to learn from and to measure."""
    length = sets[0].shapes["frames"][0]
    if length < (needed := max(recipe.vision.targets, SEEN) + 1):
        raise ValueError(f"{sets[0].folder} has videos of {length} frames, the recipe needs {needed}")


def _claim(run: SVGRun, sets: Sequence[SequenceDataset]) -> None:
    """The folder must be new or hold this very run; what the base has is taken over."""
    origin = {data.folder.name: [len(data), read_attributes(data.paths[0])] for data in sets}
    takes_over = run.base is not None and not (run.out / VISION).exists()
    if run.base is not None and takes_over:
        _check_base(run.base, run.model_dump(mode="json", include={"recipe"}) | {"data": origin})
    claim(run, {"data": origin})
    if run.base is not None and takes_over:
        write_bytes(run.out / VISION, (run.base / VISION).read_bytes())


def _check_base(base: Path, settings: dict[str, object]) -> None:
    """The base must have embedded the same data, with an encoder of the same shape."""
    if not (base / EMBEDDINGS).exists():
        raise ValueError(f"{base} is no SVG run with embeddings to build on")
    theirs = json.loads((base / "run.json").read_text())
    mine = json.loads(json.dumps(settings))
    different = [key for key in ("data",) if mine[key] != theirs[key]]
    different += [
        key for key in ("vision", "held_out", "videos") if mine["recipe"][key] != theirs["recipe"][key]
    ]
    pairs = [({**kept, "recurrent": kept["recurrent"]["embedding"]}) for kept in _models(mine, theirs)]
    if pairs[0] != pairs[1]:
        different.append("model")
    if different:
        raise ValueError(f"{base} was trained with other {', '.join(different)}; choose another --base")


def _models(*settings: dict[str, Any]) -> list[dict[str, Any]]:
    return [dict(kept["recipe"]["model"]) for kept in settings]
