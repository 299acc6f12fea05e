"""Training a Struct-VRNN from data to model folder."""

from functools import partial
from pathlib import Path

from tqdm import tqdm

from world_models.eye import collect_reference
from world_models.struct_vrnn.card import card_text
from world_models.struct_vrnn.evaluation.body_errors import measure_bodies
from world_models.struct_vrnn.model import StructVRNN
from world_models.struct_vrnn.own.calibration import calibrate, liveliest
from world_models.struct_vrnn.own.figures import PICTURES, draw_own
from world_models.struct_vrnn.recipe import StructVRNNRun
from world_models.struct_vrnn.sequences import open_tasks
from world_models.struct_vrnn.training import (
    cache_features,
    describe,
    train_bodies,
    train_dynamics,
    train_jointly,
    train_vision,
)
from world_models.training.run import (
    claim,
    differences_to_base,
    export,
    origin_of,
    refuse_base,
    take_over,
)

VISION = "vision.safetensors"
FEATURES = "features"
LIVELY = 0.5
"""Pixels that some keypoint moves by, at least, in a model that sees what moves."""
_SHAPE = ("representation", "tasks", "image_size", "widths", "extra_layers", "keypoints", "blob_width")
"""Sizes of the model that its detector depends on."""


def train_struct_vrnn(run: StructVRNNRun, command: str) -> Path:
    """Run all stages and export the model; answers the model folder.

    Args:
        run: what to train.
        command: how the run was started; goes into the model card.

    Raises:
        DataError: the data is missing or does not fit the recipe.
        ValueError: ``run.out`` holds another run, or ``run.base`` no finished one.
    """
    recipe = run.recipe
    tasks = open_tasks(run.data, recipe.model, recipe.held_out)
    _check_joint(run)
    origin = {task.name: origin_of(task.sequences) for task in tasks}
    shared = []
    if run.base is not None:
        different = differences_to_base(run.base, run, origin, (VISION, "model/config.json"))
        refuse_base(run.base, [name for name in different if _decides_on_features(name)])
        shared = [run.base / VISION]
    session = claim(run, origin, shared)
    take_over(shared, session)
    with session.initial_weights():
        model = StructVRNN(recipe.model).to(session.device)
    figures, goal = "", None
    if recipe.joint:
        train_jointly(model, tasks, recipe, session)
    else:
        train_vision(model, tasks, recipe.vision, session)
        detected = cache_features(model.vision, tasks, (run.base or run.out) / FEATURES, session)
        train_bodies(model, tasks, detected, recipe.bodies, session)
        features = [describe(model, part) for part in detected]
        train_dynamics(model, tasks, features, recipe.dynamics, session)
        figures = measure_bodies(model.cpu(), tasks, features, recipe.dynamics.observed)
        if recipe.calibration is not None:
            held_out = features[0][-recipe.held_out :]
            goal = calibrate(model, held_out, recipe.calibration)
            if (moved := liveliest(model, held_out)) < LIVELY:
                tqdm.write(
                    f"no keypoint moves by more than {moved:.2f} pixels: what moves in the pictures was not "
                    "found; train longer (--recipe.vision.steps) or with more --recipe.model.keypoints"
                )
    eye = None
    if len(tasks) == 1:  # tasks that look different have no look in common
        eye = collect_reference(tasks[0].sequences, tasks[0].known, recipe.eye, recipe.model.goal)
    card = partial(card_text, run, tasks, command)
    folder = export(session, model, lambda _: figures, card, eye=eye, goal=goal)
    if goal is not None:
        data = tasks[0].sequences
        draw_own(model.cpu(), data, len(data) - recipe.held_out, recipe.dynamics.observed, folder / PICTURES)
    return folder


def _check_joint(run: StructVRNNRun) -> None:
    """A joint run has no detector of its own before the dynamics."""
    if run.recipe.joint and run.base is not None:
        raise ValueError("a joint run trains its own detector; leave out --base")
    if run.recipe.joint and run.recipe.model.bodies:
        raise ValueError(
            "a joint run has no detector to read bodies off before the dynamics; leave out bodies"
        )


def _decides_on_features(setting: str) -> bool:
    """Whether detector, generator and features depend on a setting."""
    shape = {f"recipe.model.{name}" for name in _SHAPE}
    return setting in shape or setting.startswith(("data.", "recipe.vision.", "recipe.held_out"))
