"""Where a thing of known colour is in a picture: the domain knowledge of KeyIn's planner (section 10)."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
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
    mass: Float[Tensor, "B"]
    radius: Float[Tensor, "B"]


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
    counts: Float[Tensor, "B W"], mass: Float[Tensor, "B"]
) -> tuple[Float[Tensor, "B"], Float[Tensor, "B"]]:
    """Moments of the positions 0..W-1 under a histogram; NaN where it is empty."""
    position = torch.arange(counts.shape[-1], device=counts.device, dtype=counts.dtype)
    mean = (counts * position).sum(dim=-1) / mass
    return mean, (counts * position.square()).sum(dim=-1) / mass - mean.square()
