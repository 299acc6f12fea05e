"""The model card of a Struct-VRNN."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from world_models.data import read_attributes
from world_models.struct_vrnn.config import StructVRNNConfig
from world_models.struct_vrnn.recipe import StructVRNNRecipe, StructVRNNRun
from world_models.struct_vrnn.sequences import TaskData
from world_models.training.card import data_line, data_section, training_section


def card_text(run: StructVRNNRun, tasks: Sequence[TaskData], command: str, bodies: str) -> str:
    """What the model is, what it learned from and how; figures are added by the evaluation.

    Args:
        run: how it was trained.
        tasks: what it learned from.
        command: how the run was started.
        bodies: a table of how well it knows its bodies; empty if it has none.
    """
    recipe, model = run.recipe, run.recipe.model
    origins = (
        data_line(
            f"{task.name or run.data}: {task.known} sequences of {task.sequences.shapes['frames'][0]} "
            f"frames, {len(task.sequences) - task.known} more held out",
            task.sequences,
        )
        + rounds(task.sequences.paths)
        for task in tasks
    )
    stages = {"model": model, "vision": recipe.vision, "dynamics": recipe.dynamics}
    stages |= {"bodies": recipe.bodies} if model.bodies else {}
    return f"""# {_title(recipe)}

Describes a frame by {model.features} numbers and predicts how they move{_driven(model.actions)}.
Method: Minderer et al. 2019, *Unsupervised Learning of Object Structure and Dynamics from Videos*. Rewards
are never seen.

{data_section(origins)}

{training_section(command, run.seed, stages)}

## Deviations from the paper
{_published(recipe) if model.published else _shipped(recipe)}
{_body_section(bodies)}{_pictures(recipe)}"""


def _published(recipe: StructVRNNRecipe) -> str:
    """What is left where equations and losses are as published."""
    model, vision, dynamics = recipe.model, recipe.vision, recipe.dynamics
    widths, window = ", ".join(map(str, model.widths)), dynamics.observed + dynamics.predicted
    return f"""Convolutions of {widths} channels (the authors' code: 32, 64, 128), {vision.steps} joint steps
of {vision.batch} sequences (100000 of 32), rates halved every {vision.halved} steps (30000). In a step the
detector sees {vision.frames} random frames of its sequences, the dynamics the first {window} of others.
Losses of the dynamics are means over frames: no gradient goes from them into the detector, so their scale
does not matter. Scales are relative to the largest one, two coordinate channels are added to the inputs of
detector and generator, standard deviations are softplus + 1e-4 (all three as in the authors' code). Weights
are rounded to half precision."""


def _shipped(recipe: StructVRNNRecipe) -> str:
    model = recipe.model
    return f"""The action that leads to a frame enters prior, posterior and decoder of that frame, not the
recurrence alone.
The decoder answers the change since the frame before, and is told that frame's features. The dynamics see
a keypoint's coordinates multiplied by its scale.{_fed(model)}
The generator is shown the pixels of the first frame at half size too. A share of
{recipe.vision.foreign:g} of the training pictures is drawn over the first frame of another sequence, so that
what differs between sequences but rests within one has keypoints too. Detector and generator are trained
first, the dynamics on their cached features (no gradient flows back in the paper either). Scales are
relative to the largest one, two coordinate channels are added to the inputs of detector and generator (as in
the authors' code). GELU in the dense layers, gradient norms clipped at 5, cosine decay of the learning rate;
sizes, weights and steps as above. Weights are rounded to half precision.{_weighed(recipe)}"""


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


def _pictures(recipe: StructVRNNRecipe) -> str:
    """What a person can judge it by, where there is more than figures."""
    if recipe.calibration is None:
        return ""
    wanted = recipe.calibration.body or "all keypoints, those that move most above all"
    return f"""
## Goal and pictures
What can be wanted: {wanted}.

![Keypoints with trails, and a sequence that is foreseen](pictures.png)
"""


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
