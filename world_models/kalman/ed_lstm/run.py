"""Training an ED-LSTM from data to model folder."""

from functools import partial
from pathlib import Path

import numpy as np

from world_models.data import SequenceDataset
from world_models.kalman.ed_lstm.card import card_text
from world_models.kalman.ed_lstm.model import EDLSTM
from world_models.kalman.ed_lstm.recipe import COUNTS, STAGES, EDLSTMRecipe, EDLSTMRun
from world_models.kalman.ed_lstm.training import choose_stage, train_stage
from world_models.kalman.videos import PackedVideos
from world_models.training.run import claim, export, origin_of


def train_ed_lstm(run: EDLSTMRun, command: str) -> Path:
    """Run both stages and export the better model; answers the model folder.

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
    known = [PackedVideos.read(part, 0, part.known(recipe.held_out)) for part in data]
    learned = PackedVideos(np.concatenate([part.bits for part in known]), recipe.model.image_size)
    with session.initial_weights():
        model = EDLSTM(recipe.model).to(session.device)
    for stage in STAGES:
        train_stage(stage, model, learned, recipe, session)
    held_out = [PackedVideos.read(part, len(part) - recipe.held_out, len(part)) for part in data]
    errors = choose_stage(model, held_out, recipe.seen, session)
    return export(session, model, lambda _: errors, partial(card_text, run, data, command))


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
