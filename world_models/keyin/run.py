"""Training a KeyIn model from data to model folder."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from world_models.checkpoint import write_card, write_model
from world_models.data import SequenceDataset, read_attributes
from world_models.files import write_bytes
from world_models.keyin import training
from world_models.keyin.card import card_text
from world_models.keyin.discovery.teaching import teach
from world_models.keyin.figures import measure
from world_models.keyin.model import KeyIn
from world_models.keyin.recipe import KeyInRun
from world_models.training.run import Session

RESULTS = {
    "autoencoder": ("autoencoder.safetensors", "embeddings"),
    "interpolator": ("interpolator.safetensors",),
    "coder": ("coder.safetensors",),
    "surprise": ("svg.safetensors",),
    "teacher": ("teacher.npy",),
    "predictor": ("predictor.safetensors",),
    "soft": ("soft.safetensors",),
}
"""What each stage leaves in the run's folder; every stage builds on those before it."""
_FIRST_USED_BY = {"longest_segment": "interpolator", "hidden": "interpolator"} | dict.fromkeys(
    ("keyframes", "max_offset", "latent", "prior", "segmentation"), "coder"
)
"""Sizes of the model that earlier stages than these do not depend on."""
SHARED = ("autoencoder.safetensors", "interpolator.safetensors")
"""What a run takes over from its base, beside the embeddings; the interpolator only if it fits."""

MEASURED = 300
"""Held-out sequences that the card's figures are measured on, at most."""


def train_keyin(run: KeyInRun, command: str) -> Path:
    """Run all stages and export the model; answers the model folder.

    Args:
        run: what to train.
        command: how the run was started; goes into the model card.

    Raises:
        DataError: the data is missing or does not fit the recipe.
        ValueError: ``run.out`` holds a run with other settings.
    """
    data = SequenceDataset(run.data)
    _check(run, data)
    torch.set_num_threads(run.threads)
    session = Session(run.out, run.seed, torch.device(run.device))
    with session.initial_weights():
        model = KeyIn(run.recipe.model).to(session.device)
    training.train_autoencoder(model, data, run.recipe, session)
    embeddings = training.cache_embeddings(model, data, (run.base or run.out) / "embeddings", session)
    known = embeddings[: len(data) - run.recipe.held_out]
    training.train_interpolator(model, known, run.recipe, session)
    teacher = teach(model, known, run.recipe, session)
    training.train_predictor(model, known, teacher, run.recipe, session)
    if run.recipe.soft.steps:
        training.train_soft(model, known, teacher, run.recipe, session)
    folder = run.out / "model"
    write_model(folder, run.recipe.model, model, "")
    generator = torch.Generator().manual_seed(run.seed)
    measured = (len(data) - min(run.recipe.held_out, MEASURED), len(data))
    stored = KeyIn.load(folder, session.device)
    figures = measure(stored, data, *measured, run.recipe.object, generator)
    write_bytes(run.out / "figures.json", (json.dumps(figures, indent=2) + "\n").encode())
    write_card(folder, card_text(run.recipe, run.seed, data, command, tuple(RESULTS), figures))
    return folder


def _check(run: KeyInRun, data: SequenceDataset) -> None:
    """The data must fit the recipe, and the folder must be new or hold this very run."""
    size = run.recipe.model.image_size
    expected = (run.recipe.model.context + run.recipe.model.frames, size, size, 3)
    if data.shapes["frames"] != expected:
        raise ValueError(
            f"the recipe needs sequences of frames {expected}, {run.data} has {data.shapes['frames']}"
        )
    if len(data) <= run.recipe.held_out:
        raise ValueError(
            f"{run.data} has {len(data)} sequences, but {run.recipe.held_out} are to be held out"
        )
    origin = {"sequences": len(data), "data": read_attributes(data.paths[0])}
    settings = _flat(run.model_dump(mode="json", include={"seed", "recipe"}) | origin)
    path = run.out / "run.json"
    before = json.loads(path.read_text()) if path.exists() else settings
    changed = sorted(key for key in settings if settings[key] != before.get(key))
    stale = [name for name in _made_with(changed) if (run.out / name).exists()]
    if stale:
        raise ValueError(
            f"{run.out} holds a run with other {', '.join(changed)}; choose another --out, "
            f"or delete {', '.join(stale)} there to do these stages again"
        )
    shared = _shared(run.base, settings) if run.base is not None else []
    write_bytes(path, (json.dumps(settings, indent=2) + "\n").encode())
    write_bytes(run.out / "recipe.json", (run.recipe.model_dump_json(indent=2) + "\n").encode())
    for source in shared:
        if not (run.out / source.name).exists():
            write_bytes(run.out / source.name, source.read_bytes())


def _shared(base: Path, settings: Mapping[str, Any]) -> list[Path]:
    """The base's finished stages that a run with these settings can go on from."""
    missing = [name for name in (*SHARED, "embeddings", "run.json") if not (base / name).exists()]
    if missing:
        raise ValueError(f"{base} is no finished run to build on: it lacks {', '.join(missing)}")
    theirs = json.loads((base / "run.json").read_text())
    changed = [key for key in settings if key != "seed" and settings[key] != theirs.get(key)]
    different = sorted(key for key in changed if SHARED[0] in _made_with([key]))
    if different:
        raise ValueError(f"{base} was trained with other {', '.join(different)}; choose another --base")
    return [base / name for name in SHARED if name not in _made_with(changed)]


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted name."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


def _made_with(changed: Iterable[str]) -> list[str]:
    """Results that depend on any of the given settings: those of the first stage concerned and all later."""
    first = len(RESULTS)
    for key in changed:
        part = key.removeprefix("recipe.").split(".")
        if part[0] == "model":
            part[0] = _FIRST_USED_BY.get(part[1], part[0])
        if part[0] != "object":  # only the figures depend on it
            first = min(first, list(RESULTS).index(part[0]) if part[0] in RESULTS else 0)
    return [name for names in list(RESULTS.values())[first:] for name in names]
