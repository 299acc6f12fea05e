"""Training a classifier from a labelled set to model folder."""

import hashlib
from functools import partial
from pathlib import Path

import numpy as np

from world_models.action_recognition.card import card_text
from world_models.action_recognition.labelled_features import read_labelled
from world_models.action_recognition.model import accuracy
from world_models.action_recognition.recipe import ActionRun
from world_models.action_recognition.training import fit_classifier
from world_models.training.run import claim, export


def train_action_recognition(run: ActionRun, command: str) -> Path:
    """Split, train, test and export; answers the model folder.

    Args:
        run: what to train.
        command: how the run was started; goes into the model card.

    Raises:
        DataError: the set is missing or malformed.
        ValueError: ``run.out`` holds another run.
    """
    labelled = read_labelled(run.features)
    known, tested = labelled.split(run.recipe.test, np.random.default_rng(run.seed))
    session = claim(run, {"sha256": hashlib.sha256(run.features.read_bytes()).hexdigest()})
    model = fit_classifier(known, run.recipe, session)
    parts = {"training": known} | ({"test": tested} if tested is not None else {})
    return export(
        session,
        model,
        lambda stored: {name: accuracy(stored, part) for name, part in parts.items()},
        partial(card_text, run, parts, command),
    )
