"""Training a Struct-VRNN from data to model folder."""

import json
from collections.abc import Sequence
from pathlib import Path

import torch

from world_models.checkpoint import write_card, write_model
from world_models.files import write_bytes
from world_models.struct_vrnn.card import _body_section, card
from world_models.struct_vrnn.evaluation.body_errors import measure_bodies
from world_models.struct_vrnn.model import StructVRNN
from world_models.struct_vrnn.recipe import StructVRNNRecipe, StructVRNNRun
from world_models.struct_vrnn.sequences import TaskData, open_tasks
from world_models.struct_vrnn.training import (
    cache_features,
    describe,
    train_bodies,
    train_dynamics,
    train_jointly,
    train_vision,
)
from world_models.training.run import Session

VISION = "vision.safetensors"
FEATURES = "features"


def train_struct_vrnn(run: StructVRNNRun, command: str) -> Path:
    """Run all stages and export the model; answers the model folder.

    Args:
        run: what to train.
        command: how the run was started; goes into the model card.

    Raises:
        DataError: the data is missing or does not fit the recipe.
        ValueError: ``run.out`` holds a run with other settings, or ``run.base`` no finished one.
    """
    recipe = run.recipe
    tasks = open_tasks(run.data, recipe.model, recipe.held_out)
    _claim(run, tasks)
    torch.set_num_threads(run.threads)
    session = Session(run.out, run.seed, torch.device(run.device))
    with session.initial_weights():
        model = StructVRNN(recipe.model).to(session.device)
    figures = ""
    if recipe.joint:
        train_jointly(model, tasks, recipe, session)
    else:
        train_vision(model, tasks, recipe, session)
        detected = cache_features(model.vision, tasks, (run.base or run.out) / FEATURES, session)
        train_bodies(model, tasks, detected, recipe.bodies, session)
        features = [describe(model, part) for part in detected]
        train_dynamics(model, tasks, features, recipe.dynamics, session)
        figures = measure_bodies(model.cpu(), tasks, features, recipe.dynamics.observed)
    folder = run.out / "model"
    write_model(folder, recipe.model, model, "")
    write_card(folder, card(run, tasks, command) + _body_section(figures))
    return folder


def _claim(run: StructVRNNRun, tasks: Sequence[TaskData]) -> None:
    """The folder must be new or hold this very run; what the base has is taken over."""
    if run.recipe.joint and run.base is not None:
        raise ValueError("a joint run trains its own detector; leave out --base")
    if run.recipe.joint and run.recipe.model.bodies:
        raise ValueError(
            "a joint run has no detector to read bodies off before the dynamics; leave out bodies"
        )
    settings = json.dumps(
        run.model_dump(mode="json", include={"seed", "recipe"})
        | {"sequences": {task.name: len(task.sequences) for task in tasks}}
    )
    path = run.out / "run.json"
    if path.exists() and path.read_text() != settings:
        raise ValueError(f"{run.out} holds a run with other settings or data; choose another --out")
    if run.base is not None and not (run.out / VISION).exists():
        _check_base(run.base, run.recipe)
        write_bytes(run.out / VISION, (run.base / VISION).read_bytes())
    write_bytes(path, settings.encode())


def _check_base(base: Path, recipe: StructVRNNRecipe) -> None:
    """The base's detector and generator must be finished and of the same shape."""
    if not (base / "model" / "config.json").exists():
        raise ValueError(f"{base} is no finished Struct-VRNN run to build on")
    theirs = StructVRNNRecipe.model_validate(json.loads((base / "run.json").read_text())["recipe"])
    mine, other = recipe.model_dump(), theirs.model_dump()
    shape = ("representation", "tasks", "image_size", "widths", "extra_layers", "keypoints", "blob_width")
    different = [key for key in shape if mine["model"][key] != other["model"][key]]
    different += [key for key in ("vision", "held_out") if mine[key] != other[key]]
    if different:
        raise ValueError(f"{base} was trained with other {', '.join(different)}; choose another --base")
