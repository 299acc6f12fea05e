"""What pictures of the training data look like: collected once, stored in the model's folder."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float32, UInt8
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from world_models.data import SequenceDataset
from world_models.eye.edges import agreement, find_edges
from world_models.segmenter import ObjectGoal, Wanted

LEVELS = 8
"""Levels per channel of a coarse colour."""
BRIGHT = 99.5
"""Percentile that stands for the brightest pixels: a few of them may be glare."""
_PICTURES, _SEQUENCES, _EVERY = 2000, 200, 10
_COMMON = 1e-3
"""Share of all pixels that makes a coarse colour a common one."""


class EyeStage(BaseModel):
    """What a training run keeps of its data's pictures for the model's eye."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    field_of_view: float | None = Field(default=None, gt=0, lt=180)
    """The camera's vertical field of view in degrees; None: unknown, turns are then taken for shifts."""

    def focal(self, height: int) -> float:
        """Focal length in pixels of pictures of this height."""
        if self.field_of_view is None:
            return math.inf
        return height / 2 / math.tan(math.radians(self.field_of_view) / 2)


@dataclass(frozen=True)
class Reference:
    """The look of the training data, in bytes.

    Raises:
        ValueError: a part has another shape, or the focal length is not positive.
    """

    background: UInt8[np.ndarray, "H W 3"]
    """The median picture: what stays where it is."""
    typical: Float32[np.ndarray, " 3"]
    """Median colour of a picture."""
    brightest: Float32[np.ndarray, " 3"]
    """99.5th percentile of each channel."""
    common: Bool[np.ndarray, "512"]
    """Coarse colours that are often seen."""
    object_colour: Float32[np.ndarray, " 3"]
    """What the object to be moved looks like; NaN if it is not one by its colour."""
    agreement: float
    """How well edges of a picture agree with those of the background: normalised correlation, the median."""
    focal: float
    """Focal length of the camera in pixels; infinite where it is unknown: turns are then taken for shifts."""

    def __post_init__(self) -> None:
        if not self.focal > 0:
            raise ValueError(f"the focal length must be positive, got {self.focal}")

    def to_tensors(self) -> dict[str, Tensor]:
        """As it is stored; the inverse of :meth:`from_tensors`."""
        return {name: torch.from_numpy(np.array(getattr(self, name), order="C")) for name in _SHAPES}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> "Reference":
        """Read what :meth:`to_tensors` wrote.

        Raises:
            ValueError: a part is missing or has another shape or type.
        """
        if tensors.keys() != _SHAPES.keys():
            names = (", ".join(sorted(found)) for found in (_SHAPES, tensors))
            raise ValueError("a reference has {}, got {}".format(*names))
        for name, tensor in tensors.items():
            dtype, shape = _SHAPES[name]
            shape = (*tensor.shape[:2], 3) if shape is None else shape
            if tensor.dtype != dtype or tuple(tensor.shape) != shape:
                raise ValueError(
                    f"{name} must be {dtype} {list(shape)}, got {tensor.dtype} {list(tensor.shape)}"
                )
        known: dict[str, Any] = {name: tensor.numpy() for name, tensor in tensors.items()}
        return cls(**known | {name: tensors[name].item() for name in ("agreement", "focal")})


_SHAPES: dict[str, tuple[torch.dtype, tuple[int, ...] | None]] = {
    "background": (torch.uint8, None),
    "typical": (torch.float32, (3,)),
    "brightest": (torch.float32, (3,)),
    "common": (torch.bool, (LEVELS**3,)),
    "object_colour": (torch.float32, (3,)),
    "agreement": (torch.float64, ()),
    "focal": (torch.float64, ()),
}
"""Of the tensors of a reference; None for that of a picture."""


def collect_reference(data: SequenceDataset, stop: int, stage: EyeStage, goal: Wanted | None) -> Reference:
    """The look of the first ``stop`` sequences, from about 2000 pictures of up to 200 of them."""
    indices = np.unique(np.linspace(0, stop - 1, min(stop, _SEQUENCES)).astype(int))
    spaced = max(1, round(len(indices) * data.shapes["frames"][0] / _PICTURES))
    parts = [data[int(index) : int(index) + 1].frames[0, ::spaced] for index in indices]
    return reference_of(np.concatenate(parts), stage, goal)


def reference_of(
    pictures: UInt8[np.ndarray, "n H W 3"], stage: EyeStage, goal: Wanted | None = None
) -> Reference:
    """The look of these pictures; ``goal`` says what is to be moved in them."""
    flat = pictures.reshape(len(pictures), -1, 3)
    counts = np.bincount(coarse(pictures).ravel(), minlength=LEVELS**3)
    background = np.median(pictures, axis=0).round().astype(np.uint8)
    template = find_edges(background)
    agreements = [agreement(picture, template) for picture in pictures[::_EVERY]]
    return Reference(
        background=background,
        typical=np.median(np.median(flat, axis=1), axis=0).astype(np.float32),
        brightest=np.median(np.percentile(flat, BRIGHT, axis=1), axis=0).astype(np.float32),
        common=counts >= _COMMON * counts.sum(),
        object_colour=_object_colour(flat, goal),
        agreement=float(np.median(agreements)),
        focal=stage.focal(pictures.shape[1]),
    )


def _object_colour(pixels: UInt8[np.ndarray, "n P 3"], goal: Wanted | None) -> Float32[np.ndarray, " 3"]:
    """Median of the pixels that the goal's segmenter takes for the object."""
    found = pixels[:0, 0]
    if isinstance(goal, ObjectGoal):
        segmenter = goal.segmenter
        distance = np.linalg.norm(pixels / 255 - np.array(segmenter.color), axis=-1)
        found = pixels[distance < segmenter.tolerance]
    return (np.median(found, axis=0) if len(found) else np.full(3, np.nan)).astype(np.float32)


def coarse(pictures: UInt8[np.ndarray, "*batch 3"]) -> np.ndarray:
    """Which of the 512 coarse colours each pixel has."""
    red, green, blue = np.moveaxis(pictures.astype(np.int64) * LEVELS // 256, -1, 0)
    return (red * LEVELS + green) * LEVELS + blue
