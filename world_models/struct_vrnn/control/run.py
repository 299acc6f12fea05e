"""Training a control model on recorded episodes, from data to model folder."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from world_models.data import DataError, SequenceDataset, read_attributes
from world_models.shipped import find_folder
from world_models.struct_vrnn.control.card import card_text
from world_models.struct_vrnn.control.config import ControlConfig
from world_models.struct_vrnn.control.data import Buffer, Episode, read_episodes
from world_models.struct_vrnn.control.detector.stored import Detector, keep_detector, load_detector
from world_models.struct_vrnn.control.learner import Learner
from world_models.struct_vrnn.control.recipe import ControlRecipe, ControlRun
from world_models.struct_vrnn.control.training import begin, learn, measure_rewards
from world_models.training.card import first_shard
from world_models.training.run import Session, claim, export, origin_of

FEATURES = "features"
"""Folder of what the detector has seen, in a run."""


def train_control(run: ControlRun, command: str) -> Path:
    """Learn from recorded episodes alone, and export the model; answers the model folder.

    Args:
        run: what to train.
        command: how the run was started; goes into the model card.

    Raises:
        DataError: the data is missing or does not fit.
        ValueError: there is no such detector, or ``run.out`` holds another run.
        CheckpointError: the detector is damaged.
    """
    data = SequenceDataset(run.data)
    detector = load_detector(find_folder(run.detector), run.device)
    session = claim(run, {run.task: origin_of(data), "detector": detector.digest})
    keep_detector(run.detector, run.out)
    episodes = read_episodes(data, detector, run.recipe.sizes.reads, run.out / FEATURES, run.device)
    config = configure(run.task, detector, run.recipe, episodes, most_reward(data))
    learner, buffer = begin(config, session), Buffer(episodes, config, run.recipe.window)
    learn(learner, buffer, run.recipe, session)
    origin = (f"{len(episodes)} sequences of {data.shapes['frames'][0]} pictures;", first_shard(data))
    return export_control(learner, buffer, run.recipe, session, origin, command)


def configure(
    task: str,
    detector: Detector,
    recipe: ControlRecipe,
    episodes: Sequence[Episode],
    most: float,
) -> ControlConfig:
    """The configuration of a model for a task; its largest reward of a step is ``most``.

    Raises:
        DataError: there are no episodes.
    """
    if not episodes:
        raise DataError("there are no episodes to learn from")
    return ControlConfig(
        **dict(recipe.sizes),
        task=task,
        detector=detector.digest,
        actions=episodes[0].actions.shape[1],
        measured=episodes[0].measured.shape[1],
        most_reward=most,
    )


def most_reward(data: SequenceDataset) -> float:
    """The largest reward of a step: a task of DM Control pays at most 1 in each of the control steps that an
    action is held for, of which shards tell the number.
    """
    return float(read_attributes(data.paths[0]).get("action_repeat", 1))


def export_control(
    learner: Learner,
    buffer: Buffer,
    recipe: ControlRecipe,
    session: Session,
    origin: Sequence[str],
    command: str,
) -> Path:
    """Write the model folder ``model`` of the session and answer it; see
    :func:`~world_models.struct_vrnn.control.card.card_text` for ``origin``.
    """
    config = learner.model.config
    card = partial(card_text, config, recipe, session.seed, origin, command)
    return export(session, learner.model, lambda model: measure_rewards(model, buffer), card)
