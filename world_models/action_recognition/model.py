"""A classifier of keypoint sequences (Minderer et al. 2019, section S2.2)."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor, nn

from world_models.action_recognition.config import ActionClassifierConfig
from world_models.action_recognition.labelled_features import Labelled
from world_models.checkpoint import load_model
from world_models.data import DataError

SMALLEST = 1e-3
"""Features that vary less are not blown up to full size."""

READ = 1000
"""Sequences classified at a time."""


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
