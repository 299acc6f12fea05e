"""How a classifier learns."""

import math

import torch
from torch.nn import functional

from world_models.action_recognition.config import ActionClassifierConfig
from world_models.action_recognition.labelled_features import Labelled
from world_models.action_recognition.model import ActionClassifier
from world_models.action_recognition.recipe import ActionRecipe
from world_models.losses import Loss
from world_models.training.fit import FitConfig, fit
from world_models.training.run import Session


def fit_classifier(known: Labelled, recipe: ActionRecipe, session: Session) -> ActionClassifier:
    """Train a classifier on all of a set.

    ``classifier.safetensors`` in the session's folder keeps the progress: a run that was killed goes on.
    """
    config = ActionClassifierConfig(
        features=known.features.shape[-1], classes=known.classes, width=recipe.width, dropout=recipe.dropout
    )
    with session.initial_weights():
        model = ActionClassifier(config)
    inputs, labels = torch.from_numpy(known.features), torch.from_numpy(known.labels)
    model.set_scales(inputs)
    model, inputs, labels = model.to(session.device), inputs.to(session.device), labels.to(session.device)

    def loss(step: int, generator: torch.Generator) -> Loss:
        rows = torch.randint(len(inputs), (recipe.batch,), generator=generator).to(session.device)
        logits = model(inputs[rows], generator)
        entropy = functional.cross_entropy(logits, labels[rows])
        return Loss(
            entropy, {"entropy": entropy, "correct": (logits.argmax(1) == labels[rows]).float().mean()}
        )

    steps = recipe.epochs * math.ceil(len(known) / recipe.batch)
    stage = FitConfig(steps=steps, batch=recipe.batch, learning_rate=recipe.learning_rate)
    fit("classifier", model, loss, stage, session)
    return model
