"""Where a thing of known colour is in a picture: the domain knowledge of KeyIn's planner (section 10)."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Blob:
    """All pixels of one colour, as a blob.

    Attributes:
        center: mean column and row in pixels, 0 = centre of the first pixel; NaN if nothing was found.
        area: number of pixels.
        radius: root mean square distance from the centre in pixels (``r / sqrt(2)`` for a disc); or NaN.
    """

    center: Float[Tensor, "B 2"]
    area: Float[Tensor, "B"]
    radius: Float[Tensor, "B"]


def blob(frames: Float[Tensor, "B C H W"], color: tuple[float, float, float], tolerance: float) -> Blob:
    """Collect the pixels whose Euclidean distance to ``color`` in RGB (0..1) is below ``tolerance``."""
    target = torch.tensor(color, dtype=frames.dtype, device=frames.device)[:, None, None]
    mask = ((frames - target).square().sum(1) < tolerance**2).float()
    area = mask.sum((1, 2))
    rows = torch.arange(frames.shape[2], dtype=torch.float32, device=frames.device)
    columns = torch.arange(frames.shape[3], dtype=torch.float32, device=frames.device)
    x = (mask.sum(1) * columns).sum(1) / area
    y = (mask.sum(2) * rows).sum(1) / area
    spread = (columns - x[:, None, None]).square() + (rows[:, None] - y[:, None, None]).square()
    radius = ((mask * spread).sum((1, 2)) / area).sqrt()
    return Blob(torch.stack([x, y], dim=-1), area, radius)
