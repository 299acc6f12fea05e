"""Where a thing of known colour is in a picture: the domain knowledge of KeyIn's planner (section 10)."""

from dataclasses import dataclass, replace
from typing import Annotated, Literal

import torch
from jaxtyping import Bool, Float
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

Color = tuple[float, float, float]
"""Red, green, blue in [0, 1]."""


@dataclass(frozen=True)
class Blob:
    """The pixels of one colour in each frame, in pixels.

    ``centre`` is (x right, y down) with pixel centres at integers, NaN where nothing was found; ``mass``
    counts pixels; ``radius`` is the root mean square distance from the centre (``r / sqrt(2)`` for a disc).
    """

    centre: Float[Tensor, "B 2"]
    mass: Float[Tensor, " B"]
    radius: Float[Tensor, " B"]


def find_blob(frames: Float[Tensor, "B 3 H W"], color: Color, tolerance: float) -> Blob:
    """Collect the pixels within a Euclidean distance of ``tolerance`` from ``color`` in RGB.

    All sums are of integers and exact, so a frame gets the same bits in any batch.

    Raises:
        ValueError: the frames are not RGB.
    """
    mask = _matches(frames, color, tolerance)
    columns, rows = mask.sum(dim=-2).double(), mask.sum(dim=-1).double()
    mass = columns.sum(dim=-1)
    x, x_variance = _mean_and_variance(columns, mass)
    y, y_variance = _mean_and_variance(rows, mass)
    radius = (x_variance + y_variance).clamp(min=0).sqrt()
    return Blob(torch.stack([x, y], dim=-1).float(), mass.float(), radius.float())


def _matches(frames: Float[Tensor, "B 3 H W"], color: Color, tolerance: float) -> Float[Tensor, "B H W"]:
    """1 where the pixel has the colour, else 0."""
    if frames.ndim != 4 or frames.shape[1] != 3:
        raise ValueError(f"frames must be RGB with shape [B 3 H W], got {list(frames.shape)}")
    frames = frames.detach()  # a comparison in place would pass for one with a gradient
    # Plane by plane and in place: this runs on every candidate of every iteration.
    red, green, blue = color
    distance = (frames[:, 0].float() - red).square_()
    distance.add_((frames[:, 1].float() - green).square_())
    distance.add_((frames[:, 2].float() - blue).square_())
    return distance.le_(tolerance**2)


def _mean_and_variance(
    counts: Float[Tensor, "B W"], mass: Float[Tensor, " B"]
) -> tuple[Float[Tensor, " B"], Float[Tensor, " B"]]:
    """Moments of the positions 0..W-1 under a histogram; NaN where it is empty."""
    position = torch.arange(counts.shape[-1], device=counts.device, dtype=counts.dtype)
    mean = (counts * position).sum(dim=-1) / mass
    return mean, (counts * position.square()).sum(dim=-1) / mass - mean.square()


Share = Annotated[float, Field(ge=0, le=1)]


class ColorSegmenter(BaseModel):
    """Finds an object by its colour."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    color: tuple[Share, Share, Share]
    """Red, green, blue in [0, 1]."""
    tolerance: float = Field(gt=0, allow_inf_nan=False)
    """A pixel matches within this Euclidean distance in RGB."""
    min_mass: float = Field(ge=1)
    """Fewest pixels of a whole object; with fewer there is no centre."""
    max_mass: float
    """Most pixels of a single object."""
    max_radius: float = Field(gt=0)
    """Largest root mean square radius of a single object, in pixels."""

    @model_validator(mode="after")
    def _ordered(self) -> "ColorSegmenter":
        if self.max_mass < self.min_mass:
            raise ValueError(f"max_mass {self.max_mass} must be at least min_mass {self.min_mass}")
        return self

    def blob(self, frames: Float[Tensor, "B 3 H W"]) -> Blob:
        """The object in each frame; its centre is NaN where fewer than ``min_mass`` pixels match."""
        found = find_blob(frames, self.color, self.tolerance)
        centre = torch.where((found.mass < self.min_mass)[:, None], torch.nan, found.centre)
        return replace(found, centre=centre)

    def whole(self, frames: Float[Tensor, "B C H W"]) -> Bool[Tensor, " B"]:
        """Whether each frame shows exactly one whole object, by its mass and radius."""
        blob = self.blob(frames)
        return (blob.mass >= self.min_mass) & (blob.mass <= self.max_mass) & (blob.radius <= self.max_radius)


class ObjectGoal(BaseModel):
    """What a model can be asked for: an object is to be where the goal picture shows it.

    The segmenter's limits also say which pictures are plausible: those of exactly one whole object.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["object"] = "object"
    segmenter: ColorSegmenter
    """Finds the object in pictures."""
    body: str
    """Its name among the bodies of models that track some."""
    effector: str
    """The body that moves it."""

    @property
    def objects(self) -> "tuple[ObjectGoal, ...]":
        """Itself: the one object."""
        return (self,)


class ObjectsGoal(BaseModel):
    """Several objects, all moved by the same body, are each to be where the goal picture shows them.

    Raises:
        ValueError: objects have different effectors.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["objects"] = "objects"
    objects: tuple[ObjectGoal, ...] = Field(min_length=2)
    """In the order in which their places are stated."""

    @model_validator(mode="after")
    def _moved_by_one(self) -> "ObjectsGoal":
        if len({one.effector for one in self.objects}) > 1:
            names = ", ".join(one.effector for one in self.objects)
            raise ValueError(f"all objects of a goal must have the same effector, got {names}")
        return self

    @property
    def effector(self) -> str:
        """The body that moves them."""
        return self.objects[0].effector


Wanted = ObjectGoal | ObjectsGoal
"""What a model or a world can be asked for."""

PUCK_GOAL = ObjectGoal(
    segmenter=ColorSegmenter(
        color=(0.93, 0.14, 0.87), tolerance=0.4, min_mass=10, max_mass=40, max_radius=2.9
    ),
    body="puck",
    effector="finger",
)
"""The puck of the pushing task as its camera sees it. The limits hold for every picture that is rendered
there, half-hidden pucks included."""

TWO_PUCKS_GOAL = ObjectsGoal(
    objects=(
        PUCK_GOAL,
        ObjectGoal(
            segmenter=ColorSegmenter(
                color=(0.12, 0.81, 0.17), tolerance=0.4, min_mass=10, max_mass=40, max_radius=2.9
            ),
            body="second_puck",
            effector="finger",
        ),
    )
)
"""Both pucks of the task that has two."""
