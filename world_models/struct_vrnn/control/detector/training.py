"""Training the detector of a control model on the episodes that the model itself learns from."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict
from torch import nn

from world_models.checkpoint import MANIFEST, read_model
from world_models.eye import EyeStage, collect_reference
from world_models.shipped import DETECTOR
from world_models.struct_vrnn.config import StructVRNNConfig
from world_models.struct_vrnn.evaluation.body_errors import measure_bodies
from world_models.struct_vrnn.model import StructVRNN
from world_models.struct_vrnn.recipe import BodiesStage, VisionStage
from world_models.struct_vrnn.sequences import TaskData, open_tasks
from world_models.struct_vrnn.training import cache_features, describe, train_bodies, train_vision
from world_models.training.card import data_line, data_section, training_section
from world_models.training.run import Session, export

HELD_OUT = 20
"""One of so many episodes, the last ones, is kept for figures; at least one."""
NO_DYNAMICS: Mapping[str, int] = {"latent": 1, "hidden": 1, "prior_width": 1, "posterior_width": 1}
"""Sizes of a Struct-VRNN of which nothing but what it sees is wanted."""


class DetectorRecipe(BaseModel):
    """How long a detector learns, at first and when there are new pictures."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    vision: VisionStage = VisionStage(steps=5000, batch=8, rarity=True)
    adaptation: VisionStage = VisionStage(steps=1500, batch=8, rarity=True, learning_rate=1e-3)
    """Going on from the detector before, so that keypoints mean what they meant."""
    bodies: BodiesStage = BodiesStage(steps=4000, batch=1024)
    eye: EyeStage = EyeStage()


def train_detector(
    episodes: Path,
    config: StructVRNNConfig,
    recipe: DetectorRecipe,
    session: Session,
    before: Path | None,
    command: str,
) -> Path:
    """Learn from all episodes of ``episodes/<task>`` to see; answers the model folder ``detector`` of the
    session, which is kept as it is if it is there.

    Args:
        episodes: folder of the recorded episodes of the config's tasks.
        config: of the model; its dynamics stay untrained, so it may make them small.
        recipe: how long.
        session: where checkpoints and model go.
        before: model folder of the detector to go on from; None begins anew.
        command: how the run was started; goes into the model card.

    Raises:
        DataError: the data does not fit the model.
        CheckpointError: the detector before is damaged.
    """
    folder = session.folder / DETECTOR
    if (folder / MANIFEST).exists() and read_model(folder).card:  # the card is written last
        return folder
    tasks = open_tasks(episodes, config, 0)
    most = min(len(task.sequences) for task in tasks)
    tasks = open_tasks(episodes, config, max(1, most // HELD_OUT))
    with session.initial_weights():
        model = StructVRNN(config).to(session.device)
    stage = recipe.vision
    if before is not None:
        stage = recipe.adaptation
        model.load_state_dict(StructVRNN.load(before, session.device).state_dict())
    train_vision(model, tasks, stage, session)
    detected = cache_features(model.vision, tasks, session.folder / "features", session)
    train_bodies(model, tasks, detected, recipe.bodies, session)
    features = [describe(model, part) for part in detected]
    table = measure_bodies(model.cpu(), tasks, features, 1, ahead=())
    settings: dict[str, BaseModel] = {"model": config, "vision": stage, "bodies": recipe.bodies}

    def card(_: nn.Module) -> str:
        return _card(tasks, settings, session.seed, table, command)

    eye = None
    if len(tasks) == 1:  # tasks that look different have no look in common
        eye = collect_reference(tasks[0].sequences, tasks[0].known, recipe.eye, config.goal)
    return export(session, model, lambda read: read, card, DETECTOR, eye)


def _card(
    tasks: list[TaskData], settings: Mapping[str, BaseModel], seed: int, table: str, command: str
) -> str:
    lines = (data_line(f"{task.name}: {task.known} episodes", task.sequences) for task in tasks)
    return f"""# Detector of {", ".join(task.name for task in tasks)}

What a control model sees: keypoints and bodies of single pictures, by a Struct-VRNN (Minderer et al. 2019,
*Unsupervised Learning of Object Structure and Dynamics from Videos*) **without dynamics**: it predicts
nothing.

{data_section(lines)}

{training_section(command, seed, settings)}

## Bodies
Errors in pixels, median / mean, on episodes that were held out:

{table}
"""
