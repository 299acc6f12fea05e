"""Training a Struct-VRNN from data to model folder."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch

from world_models.checkpoint import write_bytes, write_card, write_model
from world_models.data import read_attributes
from world_models.struct_vrnn.body_figures import measure_bodies
from world_models.struct_vrnn.config import StructVRNNConfig
from world_models.struct_vrnn.model import StructVRNN
from world_models.struct_vrnn.recipe import StructVRNNRecipe
from world_models.struct_vrnn.sequences import TaskData, open_tasks
from world_models.struct_vrnn.training import (
    cache_features,
    describe,
    train_bodies,
    train_dynamics,
    train_jointly,
    train_vision,
)
from world_models.trainer import Session, TrainingRun

VISION = "vision.safetensors"
FEATURES = "features"


class StructVRNNRun(TrainingRun):
    """One training run; see :class:`TrainingRun`.

    Attributes:
        data: folder of the sequences, with one folder per task where the model has tasks.
        base: a finished run with the same pictures whose detector, generator and cached features are used
            instead of training new ones: for arms that differ in their dynamics only.
        recipe: the preset's settings, each of which can be changed.
    """

    data: Path = Path("data/dmc")
    out: Path = Path("runs/struct-vrnn-dmc")
    base: Path | None = None
    recipe: StructVRNNRecipe


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


def card(run: StructVRNNRun, tasks: Sequence[TaskData], command: str) -> str:
    """What it is, what it learned from and how; figures are added by the evaluation."""
    recipe, model = run.recipe, run.recipe.model
    origins = "\n".join(
        f"- {task.name or run.data}: {task.known} sequences of {task.sequences.shapes['frames'][0]} frames, "
        f"{len(task.sequences) - task.known} more held out; first shard "
        f"`{json.dumps(read_attributes(task.sequences.paths[0]), sort_keys=True)}`"
        f"{rounds(task.sequences.paths)}"
        for task in tasks
    )
    return f"""# {_title(recipe)}

Describes a frame by {model.features} numbers and predicts how they move{_driven(model.actions)}.
Method: Minderer et al. 2019, *Unsupervised Learning of Object Structure and Dynamics from Videos*. Rewards
are never seen.

## Data
{origins}

## Training
`{command}` (seed {run.seed})

- model: {model.model_dump_json()}
- vision: {recipe.vision.model_dump_json()}
- dynamics: {recipe.dynamics.model_dump_json()}{_reading(recipe)}

## Deviations from the paper
The action that leads to a frame enters prior, posterior and decoder of that frame, not the recurrence alone.
The decoder answers the change since the frame before, and is told that frame's features. The dynamics see
a keypoint's coordinates multiplied by its scale.{_fed(model)}
The generator is shown the pixels of the first frame at half size too. A share of
{recipe.vision.foreign:g} of the training pictures is drawn over the first frame of another sequence, so that
what differs between sequences but rests within one has keypoints too. Detector and generator are trained
first, the dynamics on their cached features (no gradient flows back in the paper either). Scales are
relative to the largest one, two coordinate channels are added to the inputs of detector and generator (as in
the authors' code). GELU in the dense layers, gradient norms clipped at 5, cosine decay of the learning rate;
sizes, weights and steps as above. Weights are rounded to half precision.{_weighed(recipe)}
"""


def rounds(paths: Sequence[Path]) -> str:
    """Who acted in recorded episodes, and for how many steps of the environment; empty for other data."""
    steps, episodes = Counter[str](), Counter[str]()
    for path in paths:
        attributes = read_attributes(path)
        if "environment_steps" in attributes:
            who = (
                "random actions"
                if attributes["model"] == "random"
                else f"planning with {attributes['model']}"
            )
            steps[who] += int(attributes["environment_steps"])
            episodes[who] += int(attributes["episodes"])
    acted = [f"{who} in {episodes[who]} episodes ({steps[who]} environment steps)" for who in steps]
    return f"; {', '.join(acted)}" if acted else ""


def _body_section(table: str) -> str:
    """Figures of the bodies; empty if there are none."""
    if not table:
        return ""
    return f"""
## Bodies
A small network reads their places off the keypoints. It learned them from recordings; at run time it is
given keypoints of pictures, seen or imagined, and nothing else. Errors in pixels, median / mean, on held-out
sequences:

{table}
"""


def _reading(recipe: StructVRNNRecipe) -> str:
    return f"\n- bodies: {recipe.bodies.model_dump_json()}" if recipe.model.bodies else ""


def _weighed(recipe: StructVRNNRecipe) -> str:
    if not recipe.vision.rarity:
        return ""
    return (
        "\nErrors of pictures are weighed by how rare the true colour is, so that small things get keypoints."
    )


def _fed(model: StructVRNNConfig) -> str:
    if not model.sees_directly:
        return ""
    return " Of seen frames the recurrence is fed the detected features, not decoded ones."


def _title(recipe: StructVRNNRecipe) -> str:
    if recipe.model.representation == "vector":
        return "CNN-VRNN (a baseline: no spatial structure)"
    return "Struct-VRNN" if recipe.model.stochastic else "Struct-RNN (an ablation: deterministic)"


def _driven(actions: int) -> str:
    return f" under actions of up to {actions} actuators (padded, with a mask)" if actions else ""
