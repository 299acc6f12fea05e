"""Training a classifier from a labelled set to model folder."""

from pathlib import Path

import numpy as np
import torch

from world_models.action_recognition.card import _card
from world_models.action_recognition.labelled_features import read_labelled
from world_models.action_recognition.model import ActionClassifier
from world_models.action_recognition.recipe import ActionRun
from world_models.action_recognition.training import fit_classifier
from world_models.checkpoint import write_card, write_model
from world_models.files import write_bytes
from world_models.training.run import Session


def train_action_recognition(run: ActionRun, command: str) -> Path:
    """Split, train, test and export; answers the model folder.

    Args:
        run: what to train.
        command: how the run was started; goes into the model card.

    Raises:
        DataError: the set is missing or malformed.
        ValueError: ``run.out`` holds a run with other settings.
    """
    labelled = read_labelled(run.features)
    known, tested = labelled.split(run.recipe.test, np.random.default_rng(run.seed))
    settings, path = run.model_dump_json(include={"seed", "recipe"}), run.out / "run.json"
    if path.exists() and path.read_text() != settings:
        raise ValueError(f"{run.out} holds a run with other settings; choose another --out")
    write_bytes(path, settings.encode())
    torch.set_num_threads(run.threads)
    model = fit_classifier(known, run.recipe, Session(run.out, run.seed, torch.device(run.device)))
    folder = run.out / "model"
    write_model(folder, model.config, model, "")
    write_card(folder, _card(run, command, ActionClassifier.load(folder, run.device), known, tested))
    return folder
