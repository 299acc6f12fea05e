"""Training a Kalman model from data to model folder."""

from functools import partial
from pathlib import Path

import torch

from world_models.checkpoint import write_card, write_model
from world_models.data import read_attributes
from world_models.kalman.card import describe, measure
from world_models.kalman.model import Kalman
from world_models.kalman.recipe import KalmanRun, Stage
from world_models.kalman.training import STAGES, bound_loss
from world_models.kalman.videos import PackedVideos, open_videos
from world_models.training.fit import fit
from world_models.training.run import Session, claim


def train_kalman(run: KalmanRun, command: str) -> Path:
    """Run all stages and export the model; answers the model folder.

    Args:
        run: what to train.
        command: how the run was started; goes into the model card.

    Raises:
        DataError: the data is missing.
        ValueError: the data does not fit the recipe, or ``run.out`` holds a run with other settings.
    """
    recipe = run.recipe
    data = open_videos(run.data, recipe)
    claim(run, {"data": [[len(part), read_attributes(part.paths[0])] for part in data]})
    torch.set_num_threads(run.threads)
    session = Session(run.out, run.seed, torch.device(run.device))
    with session.initial_weights():
        model = Kalman(recipe.model).to(session.device)
    known = [PackedVideos.read(part, 0, len(part) - recipe.held_out) for part in data]
    for name in STAGES:
        stage: Stage = getattr(recipe, name)
        model.motion.requires_grad_(name != "frozen")
        fit(name, model, partial(bound_loss, model, known, stage, session.device), stage, session)
    model.calibrate()
    folder = run.out / "model"
    write_model(folder, recipe.model, model, "")
    held_out = [PackedVideos.read(part, len(part) - recipe.held_out, len(part)) for part in data]
    figures = measure(Kalman.load(folder, session.device), held_out, session)
    stages = {name: getattr(recipe, name) for name in STAGES}
    write_card(folder, describe(recipe.model, stages, data, recipe.held_out, command, run.seed, figures))
    return folder
