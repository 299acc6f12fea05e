"""Which action is this? A classifier of keypoint sequences (Minderer et al. 2019, section S2.2).

It learns from any labelled set of feature sequences
(:mod:`world_models.action_recognition.labelled_features`):
``python -m world_models.train action-recognition --features FILE.npz``.
"""

import math
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional

from world_models.action_recognition.labelled_features import Labelled, read_labelled
from world_models.checkpoint import load_model, write_card, write_model
from world_models.data import DataError
from world_models.files import write_bytes
from world_models.losses import Loss
from world_models.training.fit import FitConfig, PositiveFloat, PositiveInt, ShareBelowOne, fit
from world_models.training.run import Session, TrainingRun

SMALLEST = 1e-3
"""Features that vary less are not blown up to full size."""
READ = 1000
"""Sequences classified at a time."""


class ActionClassifierConfig(BaseModel):
    """Everything that fixes the shape and the use of a classifier; stored with its weights."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["action-classifier"] = "action-classifier"
    features: PositiveInt
    """F, numbers per frame that it reads."""
    classes: Annotated[tuple[str, ...], Field(min_length=2)]
    """K names of actions, in the order of the labels."""
    width: PositiveInt = 128
    """Units of each recurrent layer."""
    dropout: ShareBelowOne = 0.25
    """Share of the units that training leaves out after each recurrent layer."""


class ActionRecipe(BaseModel):
    """How a classifier learns: the numbers of section S2.2."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    width: PositiveInt = 128
    dropout: ShareBelowOne = 0.25
    epochs: PositiveInt = 100
    batch: PositiveInt = 32
    learning_rate: PositiveFloat = 1e-2
    test: ShareBelowOne = 0.24
    """Share of the sequences that is kept to test on; 279 of 1,160 in the paper."""


class ActionClassifier(nn.Module):
    """Two GRUs, and a dense layer that reads the last state."""

    def __init__(self, config: ActionClassifierConfig) -> None:
        super().__init__()
        self.config = config
        self.lower = nn.GRU(config.features, config.width, batch_first=True)
        self.upper = nn.GRU(config.width, config.width, batch_first=True)
        self.last = nn.Linear(config.width, len(config.classes))
        self.register_buffer("mean", torch.zeros(config.features))
        self.register_buffer("scale", torch.ones(config.features))
        self.mean: Tensor
        self.scale: Tensor

    @classmethod
    def load(cls, folder: Path, device: torch.device | str = "cpu") -> "ActionClassifier":
        """The classifier of a model folder, ready for use.

        Raises:
            CheckpointError: the folder is missing, incomplete, tampered with or of another kind.
        """
        return load_model(folder, cls, ActionClassifierConfig, device)

    def set_scales(self, features: Float[Tensor, "n T F"]) -> None:
        """Take means and spreads from the training data, rounded as they will be stored."""
        self.mean.copy_(features.mean((0, 1)).half())
        self.scale.copy_(features.std((0, 1)).clamp_min(SMALLEST).half())

    def forward(
        self, features: Float[Tensor, "B T F"], generator: torch.Generator | None = None
    ) -> Float[Tensor, "B K"]:
        """Logits of the classes. With a generator, units are left out as in training."""
        with torch.autocast(features.device.type, enabled=False):
            found, _ = self.lower((features.float() - self.mean) / self.scale)
            found, _ = self.upper(self._drop(found, generator))
            return self.last(self._drop(found[:, -1], generator))

    def _drop(self, units: Float[Tensor, "*B W"], generator: torch.Generator | None) -> Tensor:
        if generator is None:
            return units
        kept = torch.rand(units.shape, generator=generator) >= self.config.dropout
        return units * kept.to(units.device) / (1.0 - self.config.dropout)


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


@torch.no_grad()
def predict(model: ActionClassifier, features: Float32[np.ndarray, "n T F"]) -> Int64[np.ndarray, " n"]:
    """The most likely label of every sequence; ``model.config.classes`` names it.

    Raises:
        DataError: these are not the features that the classifier reads.
    """
    wanted = model.config.features
    if features.dtype != np.float32 or features.ndim != 3 or features.shape[-1] != wanted:
        raise DataError(
            f"the classifier reads float32 features [n, T, {wanted}], got {features.dtype} {features.shape}"
        )
    parts = torch.from_numpy(features).split(READ)
    return torch.cat([model(part.to(model.mean.device)).argmax(1).cpu() for part in parts]).numpy()


def accuracy(model: ActionClassifier, labelled: Labelled) -> float:
    """Share of the sequences whose label is found.

    Raises:
        DataError: the set has other classes or features than the classifier.
    """
    if labelled.classes != model.config.classes:
        raise DataError(f"the classifier tells {model.config.classes} apart, not {labelled.classes}")
    return float((predict(model, labelled.features) == labelled.labels).mean())


class ActionRun(TrainingRun):
    """One training run; see :class:`TrainingRun`."""

    features: Path = Path("data/action-features.npz")
    """npz file of a labelled set."""
    out: Path = Path("runs/action-recognition")
    recipe: ActionRecipe = ActionRecipe()
    """The settings."""


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


def _card(
    run: ActionRun, command: str, model: ActionClassifier, known: Labelled, tested: Labelled | None
) -> str:
    figures = [("training", known)] + ([("test", tested)] if tested is not None else [])
    rows = "\n".join(f"| {name} | {accuracy(model, part):.3f} | {len(part)} |" for name, part in figures)
    return f"""# Action classifier

Tells {len(known.classes)} actions apart in sequences of keypoints: {", ".join(known.classes)}.
Method: Minderer et al. 2019, *Unsupervised Learning of Object Structure and Dynamics from Videos*, S2.2.

## Data
`{run.features}`: {known.features.shape[2]} features of {known.features.shape[1]} frames.

## Training
`{command}` (seed {run.seed})

- {run.recipe.model_dump_json()}

## Accuracy
| sequences | correct | n |
|---|---|---|
{rows}

## Deviations from the paper
Features are scaled to mean 0 and variance 1. The learning rate decays to zero along a cosine, gradient norms
are clipped at 5. Weights are rounded to half precision.
"""
