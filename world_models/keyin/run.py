"""Training a KeyIn model from data to model folder."""

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from world_models.checkpoint import read_model
from world_models.data import SequenceDataset
from world_models.eye import collect_reference
from world_models.keyin import training
from world_models.keyin.card import card_text
from world_models.keyin.config import KeyInConfig
from world_models.keyin.discovery.teaching import teach
from world_models.keyin.figures import Figures, measure
from world_models.keyin.model import KeyIn
from world_models.keyin.own.calibration import calibrate
from world_models.keyin.own.figures import PICTURES, draw_own, measure_own
from world_models.keyin.published.training import discover, train_lstm_interpolator
from world_models.keyin.reader.network import load_reader
from world_models.keyin.reader.training import measure_reader, train_reader
from world_models.keyin.recipe import KeyInRecipe, KeyInRun
from world_models.shipped import weights_digest
from world_models.training.run import (
    Session,
    claim,
    differences_to_base,
    export,
    origin_of,
    refuse_base,
    take_over,
)

RESULTS = {
    "autoencoder": ("autoencoder.safetensors", "embeddings"),
    "interpolator": ("interpolator.safetensors",),
    "goal": ("places.npy",),
    "coder": ("coder.safetensors",),
    "surprise": ("svg.safetensors",),
    "teacher": ("teacher.npy",),
    "predictor": ("predictor.safetensors",),
    "soft": ("soft.safetensors",),
    "discovery": ("segments.npy", "discovery.safetensors"),
    "reader": ("reader.safetensors",),
}
"""What each stage leaves in the run's folder; every stage builds on those before it."""
_FIRST_USED_BY = {
    "longest_segment": "interpolator",
    "hidden": "interpolator",
    "goal": "goal",
    "published": "interpolator",
} | dict.fromkeys(
    ("keyframes", "max_offset", "countdown", "latent", "prior", "segmentation", "location"), "coder"
)
"""Sizes of the model that earlier stages than these do not depend on."""
SHARED = ("autoencoder.safetensors", "interpolator.safetensors", "places.npy")
"""What a run takes over from its base, beside the embeddings; the later ones only if they fit."""

MEASURED = 300
"""Held-out sequences that the card's figures are measured on, at most."""


def train_keyin(run: KeyInRun, command: str) -> Path:
    """Run all stages and export the model; answers the model folder.

    Args:
        run: what to train.
        command: how the run was started; goes into the model card.

    Raises:
        DataError: the data is missing or does not fit the recipe.
        ValueError: ``run.out`` holds another run, or ``run.base`` no finished one.
    """
    data = SequenceDataset(run.data)
    _check_data(run, data)
    origin = origin_of(data)
    if run.autoencoder is not None:
        origin["autoencoder"] = weights_digest(run.autoencoder)
    shared = _shared(run.base, run, origin) if run.base is not None else []
    session = claim(run, origin, shared, partial(_made_with, run.recipe.model))
    take_over(shared, session)
    with session.initial_weights():
        model = KeyIn(run.recipe.model).to(session.device)
    if run.autoencoder is not None:
        training.adopt_autoencoder(model, run.autoencoder, run.recipe, session)
    training.train_autoencoder(model, data, run.recipe, session)
    embeddings = training.cache_embeddings(model, data, (run.base or run.out) / "embeddings", session)
    known = embeddings[: data.known(run.recipe.held_out)]
    _learn_keyframes(model, known, run.recipe, session)
    stage = run.recipe.reader
    reader = None if stage is None else train_reader(model, known, stage, session)

    goal, planned = None, dict[str, float]()
    first = len(data) - run.recipe.held_out
    if run.recipe.calibration is not None:
        goal, planned = calibrate(model, known, embeddings[first:], run.recipe.calibration, session)

    def figures(stored: KeyIn) -> Figures:
        measured = (len(data) - min(run.recipe.held_out, MEASURED), len(data))
        if goal is not None:
            own = measure_own(stored, data, measured[0], goal, run.seed) | planned
            session.write_json("figures.json", own)
            return own
        generator = torch.Generator().manual_seed(run.seed)
        found = measure(stored, data, *measured, run.recipe.object, generator)
        session.write_json("figures.json", found)
        if reader is None or stage is None:
            return found
        kept = load_reader(read_model(session.folder / "model"), stored.config.image_size, session.device)
        assert kept is not None
        read = measure_reader(kept, stored, embeddings[slice(*measured)], stage, run.seed)
        return found | {f"reader_{name}": value for name, value in read.items()}

    eye = collect_reference(data, len(known), run.recipe.eye, run.recipe.model.goal)
    card = partial(card_text, run, data, command)
    folder = export(session, model, figures, card, eye=eye, reader=reader, goal=goal)
    if goal is not None:
        draw_own(model, data, first, run.seed, folder / PICTURES)
    return folder


def _learn_keyframes(
    model: KeyIn, known: Float[Tensor, "n frames F"], recipe: KeyInRecipe, session: Session
) -> None:
    """All stages between the embeddings and the reader."""
    if recipe.model.published:
        train_lstm_interpolator(model, known, recipe, session)
        discover(model, known, recipe, session)
        return
    training.train_interpolator(model, known, recipe, session)
    taught = teach(model, known, recipe, session)
    training.train_predictor(model, taught, recipe, session)
    training.train_soft(model, taught, recipe, session)


def _check_data(run: KeyInRun, data: SequenceDataset) -> None:
    """The data must fit the recipe."""
    size = run.recipe.model.image_size
    expected = (run.recipe.model.context + run.recipe.model.frames, size, size, 3)
    if data.shapes["frames"] != expected:
        raise ValueError(
            f"the recipe needs sequences of frames {expected}, {run.data} has {data.shapes['frames']}"
        )
    data.known(run.recipe.held_out)


def _shared(base: Path, run: KeyInRun, origin: Mapping[str, Any]) -> list[Path]:
    """The base's finished stages that this run can go on from."""
    changed = differences_to_base(base, run, origin, (*SHARED[:2], "embeddings"))
    refuse_base(base, [name for name in changed if SHARED[0] in _made_with(run.recipe.model, [name])])
    fitting = [base / name for name in SHARED if name not in _made_with(run.recipe.model, changed)]
    return [path for path in fitting if path.exists()]


def _made_with(config: KeyInConfig, changed: Iterable[str]) -> list[str]:
    """Results that depend on any of the given settings: those of the first stage concerned and all later."""
    first, settings = len(RESULTS), config.segmentation
    # Only figures, and what goes beside the weights, depend on these.
    unused = {"object", "eye", "calibration"}
    # Where nothing is learned about the object, plans alone depend on the goal, and what they are read with.
    goal = "goal" if config.countdown or (settings is not None and settings.object) else "reader"
    for key in changed:
        part = key.removeprefix("recipe.").removeprefix("base.").split(".")
        stage = _FIRST_USED_BY.get(part[1], "model") if part[0] == "model" else part[0]
        if stage == "places":
            stage = "goal"
        stage = goal if stage == "goal" else stage
        if stage not in unused:
            first = min(first, list(RESULTS).index(stage) if stage in RESULTS else 0)
    return [name for names in list(RESULTS.values())[first:] for name in names]
