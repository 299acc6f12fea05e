"""Training a Kalman model from data to model folder."""

from functools import partial
from pathlib import Path

from world_models.kalman.card import card_text, measure
from world_models.kalman.model import Kalman
from world_models.kalman.recipe import KalmanRun
from world_models.kalman.training import STAGES, train_stage
from world_models.kalman.videos import PackedVideos, open_videos
from world_models.training.run import claim, export, origin_of


def train_kalman(run: KalmanRun, command: str) -> Path:
    """Run all stages and export the model; answers the model folder.

    Args:
        run: what to train.
        command: how the run was started; goes into the model card.

    Raises:
        DataError: the data is missing.
        ValueError: the data does not fit the recipe, or ``run.out`` holds another run.
    """
    recipe = run.recipe
    data = open_videos(run.data, recipe)
    session = claim(run, {part.folder.name: origin_of(part) for part in data})
    with session.initial_weights():
        model = Kalman(recipe.model).to(session.device)
    known = [PackedVideos.read(part, 0, part.known(recipe.held_out)) for part in data]
    for name in STAGES:
        train_stage(name, model, known, getattr(recipe, name), session)
    model.calibrate()
    held_out = [PackedVideos.read(part, len(part) - recipe.held_out, len(part)) for part in data]
    return export(
        session,
        model,
        partial(measure, held_out=held_out, session=session),
        partial(card_text, run, data, command),
    )
