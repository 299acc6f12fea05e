"""What is wanted: costs of imagined futures, lower is better.

The pushing task is scored as in KeyIn, section 10: the Euclidean distance in pixels between the
object's centre in the imagined last frame and in the goal image, found by colour segmentation.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Protocol

import torch
from jaxtyping import Bool, Float
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from world_models.interface import Future

Share = Annotated[float, Field(ge=0, le=1)]


class Cost(Protocol):
    """How far a future is from a goal. Rows do not influence each other."""

    def target(self, goal: Float[Tensor, "B C H W"]) -> Float[Tensor, "B G"]:
        """What the futures are compared with, computed once per goal image."""
        ...

    def __call__(
        self, future: Future, decisions: Float[Tensor, "B L D"], target: Float[Tensor, "B G"]
    ) -> Float[Tensor, "B"]:
        """Cost of each row; a non-finite value means infinitely bad."""
        ...


@dataclass(frozen=True)
class Blob:
    """The pixels of one colour in each frame, in pixels.

    ``centre`` is (x right, y down) with pixel centres at integers, NaN where there are too few
    pixels; ``mass`` counts pixels; ``radius`` is the root mean square distance from the centre.
    """

    centre: Float[Tensor, "B 2"]
    mass: Float[Tensor, "B"]
    radius: Float[Tensor, "B"]


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

    def blob(self, frames: Float[Tensor, "B C H W"]) -> Blob:
        """Centre, mass and radius of the matching pixels, in pixels.

        All sums are of integers and exact, so a frame gets the same bits in any batch.
        """
        mask = self._matches(frames)
        columns, rows = mask.sum(dim=-2).double(), mask.sum(dim=-1).double()
        mass = columns.sum(dim=-1)
        x, x_variance = _mean_and_variance(columns, mass)
        y, y_variance = _mean_and_variance(rows, mass)
        centre = torch.stack([x, y], dim=-1)
        centre = torch.where((mass < self.min_mass)[:, None], torch.nan, centre)
        radius = (x_variance + y_variance).clamp(min=0).sqrt()
        return Blob(centre.float(), mass.float(), radius.float())

    def whole(self, frames: Float[Tensor, "B C H W"]) -> Bool[Tensor, "B"]:
        """Whether each frame shows exactly one whole object, by its mass and radius."""
        blob = self.blob(frames)
        return (blob.mass >= self.min_mass) & (blob.mass <= self.max_mass) & (blob.radius <= self.max_radius)

    def _matches(self, frames: Float[Tensor, "B C H W"]) -> Float[Tensor, "B H W"]:
        """1 where the pixel has the colour, else 0."""
        if frames.ndim != 4 or frames.shape[1] != 3:
            raise ValueError(f"frames must be RGB with shape [B 3 H W], got {list(frames.shape)}")
        # Plane by plane and in place: this runs on every candidate of every iteration.
        red, green, blue = self.color
        distance = (frames[:, 0].float() - red).square_()
        distance.add_((frames[:, 1].float() - green).square_())
        distance.add_((frames[:, 2].float() - blue).square_())
        return distance.le_(self.tolerance**2)


def _mean_and_variance(
    counts: Float[Tensor, "B W"], mass: Float[Tensor, "B"]
) -> tuple[Float[Tensor, "B"], Float[Tensor, "B"]]:
    """Moments of the positions 0..W-1 under a histogram; NaN where it is empty."""
    position = torch.arange(counts.shape[-1], device=counts.device, dtype=counts.dtype)
    mean = (counts * position).sum(dim=-1) / mass
    return mean, (counts * position.square()).sum(dim=-1) / mass - mean.square()


class ObjectDistance:
    """Pixels between the object in the last imagined step and in the goal image (KeyIn, section 10)."""

    def __init__(
        self,
        segmenter: ColorSegmenter,
        locate: Callable[[Float[Tensor, "B F"]], Float[Tensor, "B 2"]],
    ) -> None:
        """``locate`` turns features into the object's centre in pixels: decode and segment for a
        learned model; NaN where there is no object.
        """
        self.segmenter = segmenter
        self.locate = locate

    def target(self, goal: Float[Tensor, "B C H W"]) -> Float[Tensor, "B 2"]:
        """Centre of the object in the goal images, in pixels.

        Raises:
            ValueError: if a goal image does not show the object.
        """
        blob = self.segmenter.blob(goal)
        missing = blob.centre.isnan().any(dim=-1).nonzero().flatten().tolist()
        if missing:
            raise ValueError(
                f"the goal image shows no object of colour {self.segmenter.color}: "
                f"{int(blob.mass[missing[0]])} matching pixels, at least {self.segmenter.min_mass:g} needed"
            )
        return blob.centre

    def __call__(
        self, future: Future, decisions: Float[Tensor, "B L D"], target: Float[Tensor, "B 2"]
    ) -> Float[Tensor, "B"]:
        """Euclidean distance in pixels; infinite where the last step shows no object."""
        offset = self.locate(future.features[:, -1]) - target
        distance = (offset[:, 0].square() + offset[:, 1].square()).sqrt()
        return torch.where(distance.isnan(), torch.inf, distance)


class Approach:
    """A cost plus a small pull of the effector toward the object.

    The object's distance alone says nothing until the effector touches it, which a short horizon may not
    reach; the pull breaks that tie. Features must hold the pixels of object and effector:
    ``[object_x, object_y, effector_x, effector_y]``.
    """

    def __init__(self, cost: Cost, weight: float) -> None:
        """``weight`` is in units of ``cost`` per pixel."""
        self.cost = cost
        self.weight = weight

    def target(self, goal: Float[Tensor, "B C H W"]) -> Float[Tensor, "B G"]:
        """The target of the wrapped cost."""
        return self.cost.target(goal)

    def __call__(
        self, future: Future, decisions: Float[Tensor, "B L D"], target: Float[Tensor, "B G"]
    ) -> Float[Tensor, "B"]:
        """The wrapped cost plus ``weight`` times the final distance of effector and object in pixels."""
        last = future.features[:, -1]
        offset = last[:, 0:2] - last[:, 2:4]
        reach = (offset[:, 0].square() + offset[:, 1].square()).sqrt()
        return self.cost(future, decisions, target) + self.weight * reach
