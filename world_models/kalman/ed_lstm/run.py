"""Training an ED-LSTM from data to model folder."""

from functools import partial
from pathlib import Path

import numpy as np
import torch

from world_models.checkpoint import load_weights, write_card, write_model
from world_models.data import SequenceDataset, read_attributes
from world_models.kalman.ed_lstm.card import COUNTS, STAGES, _card
from world_models.kalman.ed_lstm.model import EDLSTM
from world_models.kalman.ed_lstm.recipe import EDLSTMRecipe, EDLSTMRun
from world_models.kalman.ed_lstm.training import generation_loss, prediction_loss
from world_models.kalman.videos import PackedVideos
from world_models.losses import Loss
from world_models.training.fit import FitConfig, fit
from world_models.training.run import Session, claim


def train_ed_lstm(run: EDLSTMRun, command: str) -> Path:
    """Run both stages and export the better model; answers the model folder.

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
    known = [PackedVideos.read(part, 0, len(part) - recipe.held_out) for part in data]
    learned = PackedVideos(np.concatenate([part.bits for part in known]), recipe.model.image_size)
    with session.initial_weights():
        model = EDLSTM(recipe.model).to(session.device)

    def loss(stage: str, batch: int, step: int, rng: torch.Generator) -> Loss:
        rows = torch.randint(len(learned.bits), (batch,), generator=rng)
        frames = learned.frames(rows.numpy()).to(session.device)
        return prediction_loss(model, frames, recipe.seen if stage == "free-running" else None)

    for stage in STAGES:
        config: FitConfig = getattr(recipe, stage.replace("-", "_"))
        fit(stage, model, partial(loss, stage, config.batch), config, session)
    held_out = [PackedVideos.read(part, len(part) - recipe.held_out, len(part)) for part in data]
    errors = {}
    for stage in STAGES:
        load_weights(run.out / f"{stage}.safetensors", model)
        errors[stage] = [generation_loss(model, videos, recipe.seen, session.device) for videos in held_out]
    best = min(errors, key=lambda stage: sum(errors[stage]))
    load_weights(run.out / f"{best}.safetensors", model)
    folder = run.out / "model"
    write_model(folder, recipe.model, model, "")
    write_card(folder, _card(run, data, command, errors, best))
    return folder


def open_videos(folder: Path, recipe: EDLSTMRecipe) -> list[SequenceDataset]:
    """The data, one set per number of balls.

    Raises:
        DataError: a folder is missing.
        ValueError: pictures have another size, or there are too few videos or frames.
    """
    data = [SequenceDataset(folder / str(count)) for count in COUNTS]
    size = recipe.model.image_size
    for part in data:
        steps, *picture = part.shapes["frames"]
        if picture != [size, size, 1] or steps <= recipe.seen + 1:
            raise ValueError(
                f"the recipe needs more than {recipe.seen + 1} frames of {size} x {size} x 1, "
                f"{part.folder} has {part.shapes['frames']}"
            )
        if len(part) <= recipe.held_out:
            raise ValueError(
                f"{part.folder} has {len(part)} sequences, but {recipe.held_out} are to be held out"
            )
    return data
