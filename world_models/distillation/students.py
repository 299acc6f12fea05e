"""What of each kind of model sees, and how its copy is compared with it."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from world_models.checkpoint import read_model
from world_models.keyin.model import KeyIn
from world_models.losses import Loss
from world_models.segmenter import Wanted
from world_models.struct_vrnn.model import StructVRNN

_FAR = 60.0
"""Squared distance of embeddings beyond which a picture is given up: something hides what it shows."""
_LOST = 20.0
"""The same for the place of a body, in pixels."""
_STEADY = 0.01
"""Least standard deviation that features are taken in units of."""


@runtime_checkable
class Student(Protocol):
    """A model whose encoder learns."""

    model: Any
    """With the encoder that learns; all else is frozen."""
    goal: Wanted | None

    @property
    def encoder(self) -> nn.Module:
        """What learns."""
        ...

    def targets(self, frames: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F"]:
        """What the model sees in pictures of the usual world, before anything is learned."""
        ...

    def set_scales(self, targets: Float[Tensor, "n F"]) -> None:
        """Take scales from the targets of the training data."""
        ...

    def loss(self, frames: Float[Tensor, "B C H W"], targets: Float[Tensor, "B F"], places: float) -> Loss:
        """How far what is seen is from what should be."""
        ...

    def errors(
        self, frames: Float[Tensor, "B C H W"], targets: Float[Tensor, "B F"]
    ) -> Mapping[str, Float[Tensor, " B"]]:
        """The same picture by picture, in units that can be read, by name."""
        ...


@dataclass
class KeyInStudent:
    """KeyIn: its embeddings."""

    model: KeyIn

    def __post_init__(self) -> None:
        self.goal = self.model.config.goal
        self._teacher = copy.deepcopy(self.model.autoencoder.encoder)

    @property
    def encoder(self) -> nn.Module:
        """CNN_enc; decoder, interpolator and predictor stay as they are."""
        return self.model.autoencoder.encoder

    def targets(self, frames: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F"]:
        """Embeddings."""
        features: Tensor = self._teacher.to(frames.device)(frames)
        return features

    def set_scales(self, targets: Float[Tensor, "n F"]) -> None:
        """Embeddings have a scale already."""

    def loss(self, frames: Float[Tensor, "B C H W"], targets: Float[Tensor, "B F"], places: float) -> Loss:
        """Mean squared error per dimension."""
        squares = (self.encoder(frames) - targets).square().sum(-1)
        total = squares.clamp(max=_FAR).mean() / targets.shape[-1]
        return Loss(total, {"embedding": squares.mean()})

    def errors(
        self, frames: Float[Tensor, "B C H W"], targets: Float[Tensor, "B F"]
    ) -> Mapping[str, Float[Tensor, " B"]]:
        """Squared distances of embeddings, which have length sqrt(F)."""
        return {"embedding": (self.encoder(frames) - targets).square().sum(-1)}


@dataclass
class StructVRNNStudent:
    """Struct-VRNN: its keypoints, and the bodies that are read off them."""

    model: StructVRNN

    def __post_init__(self) -> None:
        self.goal = self.model.config.goal
        vision = self.model.vision
        self.encoder: nn.Module = nn.ModuleDict({"trunk": vision.trunk, "code": vision.code})
        self._teacher = copy.deepcopy(vision)
        self._scale = torch.ones(self.model.config.detected)

    def targets(self, frames: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F"]:
        """Keypoints: x, y, scale of each."""
        return self._teacher.to(frames.device).detect(frames).features

    def set_scales(self, targets: Float[Tensor, "n F"]) -> None:
        """Keypoints are compared in units of how much each varies."""
        self._scale = self.model.weigh(targets).std(0).clamp_min(_STEADY)

    def loss(self, frames: Float[Tensor, "B C H W"], targets: Float[Tensor, "B F"], places: float) -> Loss:
        """Of keypoints as the dynamics see them, and of the bodies' places."""
        found = self.model.vision.detect(frames).features
        ours, theirs = (self.model.weigh(features) / self._scale for features in (found, targets))
        keypoints = functional.smooth_l1_loss(ours, theirs, beta=0.5)
        if self.model.reader is None:
            return Loss(keypoints, {"keypoints": keypoints})
        pixels = self._away(found, targets).clamp(max=_LOST).mean()
        return Loss(keypoints + places * pixels, {"keypoints": keypoints, "pixels": pixels})

    def errors(
        self, frames: Float[Tensor, "B C H W"], targets: Float[Tensor, "B F"]
    ) -> Mapping[str, Float[Tensor, " B"]]:
        """Pixels between where a body is read off and where it was, by body."""
        found = self.model.vision.detect(frames).features
        if self.model.reader is None:
            return {"keypoints": (self.model.weigh(found) - self.model.weigh(targets)).square().sum(-1)}
        names = (f"{body}, pixels" for body in self.model.config.bodies)
        return dict(zip(names, self._away(found, targets).unbind(-1), strict=True))

    def _away(self, found: Float[Tensor, "B F"], targets: Float[Tensor, "B F"]) -> Float[Tensor, "B J"]:
        one, other = (self.model.places(self.model.describe(features)) for features in (found, targets))
        return ((one - other).square().sum(-1) + 1e-4).sqrt()


def load_student(folder: Path) -> Student:
    """The model of a folder, ready to learn.

    Raises:
        CheckpointError: the folder is damaged.
        ValueError: nothing is known of how to distil a model of that kind.
    """
    kind = read_model(folder).config.get("kind")
    if kind == "keyin":
        return KeyInStudent(KeyIn.load(folder))
    if kind == "struct-vrnn":
        model = StructVRNN.load(folder)
        if not model.vision.structured:
            raise ValueError(f"{folder} is a CNN-VRNN, which has no keypoints; choose a KeyIn or Struct-VRNN")
        return StructVRNNStudent(model)
    raise ValueError(f"{folder} is a {kind}; choose a KeyIn or a Struct-VRNN")
