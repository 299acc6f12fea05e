"""Reading one object's place off a picture, near where it is expected."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

TAIL = 3.0
"""How light a window's tails are: it falls with this power of the squared distance."""
TIGHT, LEFT = 0.5, 3e-4
"""A tight claim: its radius in learned ones, and what is left of the evidence in its middle."""
CLOSER = 2
"""Looks after the first."""
NOWHERE = 1e-9
"""Density of expected objects, far from where they are expected."""
RANK = 3
"""Separable parts of the filter."""
BRIGHT = 18.0
"""Logit of a white area against a black one, before training."""
NARROWEST = 0.02
"""Least half width of a window, in half pictures."""


@dataclass(frozen=True)
class Glimpse:
    """What attention has found; places are (x right, y down), -1 and 1 at the edges of the picture."""

    place: Float[Tensor, "B 2"]
    spread: Float[Tensor, "B 2"]
    """Variance of the attention along x and y."""
    mass: Float[Tensor, " B"]
    """Logarithm of the evidence inside the window."""


class Reader(nn.Module):
    """Evidence for objects in all places, and attention to a part of it.

    A filter, the sum of a few separable ones, gives every pixel a logit of how much it looks like an object's
    middle. Attention is the softmax of the logits within a window; the place is the mean under the
    attention. Further looks, with a narrower window round the last place, settle on one object where the
    first has found two. What an object has claimed is taken out of the evidence, before the next one looks
    (explaining away).
    """

    def __init__(self, image_size: int, filter_size: int) -> None:
        super().__init__()
        pixel = 2.0 / image_size
        taps = torch.full((2, RANK, filter_size), math.sqrt(BRIGHT) / filter_size)
        taps[:, 1:] = 0.05 * torch.randn(2, RANK - 1, filter_size)
        self.taps = nn.Parameter(taps)  # the first part is a box blur: bright is likely
        self.log_narrow = nn.Parameter(torch.tensor(3.0 * pixel).log())
        self.log_claimed = nn.Parameter(torch.tensor(2.0 * pixel).log())
        self.claim = nn.Parameter(torch.tensor(4.0))
        self.register_buffer("axis", (torch.arange(image_size) + 0.5) * pixel - 1.0, persistent=False)
        self.axis: Tensor

    def evidence(self, frames: Float[Tensor, "*B 1 H W"]) -> Float[Tensor, "*B H W"]:
        """Unnormalised softmax of the logits."""
        across, down = self._shifts(frames.shape[-1]).unbind(0)
        parts = [y @ (frames.squeeze(-3) @ x.mT) for x, y in zip(across, down, strict=True)]
        logits = torch.stack(parts).sum(dim=0).float()
        highest = logits.detach().amax(dim=(-2, -1), keepdim=True)
        return (logits - highest).clamp(min=-30.0).exp()

    def _shifts(self, size: int) -> Float[Tensor, "2 R P P"]:
        """The filter's parts as matrices: entry ``[i, j]`` says how pixel j counts for pixel i."""
        reach = self.taps.shape[-1] // 2
        pixel = torch.arange(size, device=self.taps.device)
        offset = pixel - pixel[:, None]
        taken = self.taps[..., (offset + reach).clamp(0, self.taps.shape[-1] - 1)]
        return torch.where(offset.abs() <= reach, taken, 0.0)

    def look(
        self, evidence: Float[Tensor, "B H W"], centre: Float[Tensor, "B 2"], width: Float[Tensor, "B 2"]
    ) -> Glimpse:
        """Look through a window, then closer and closer.

        The window is Student's, whose tails are heavy: an object that was lost can be found again, and a
        window outside the picture prefers what is on its side, but hardly ever black to white.
        """
        distance = self._distance(centre, width.clamp(min=NARROWEST))
        window = -TAIL * (1.0 + distance.square() / (2.0 * TAIL)).log()
        glimpse = self._attend(evidence, window)
        narrow = self.log_narrow.exp().expand_as(glimpse.place)
        for _ in range(CLOSER):
            closer = -0.5 * self._distance(glimpse.place, narrow).square()
            glimpse = self._attend(evidence, window + closer)
        return glimpse

    def expectation(
        self, centres: Float[Tensor, "B N 2"], widths: Float[Tensor, "B N 2"]
    ) -> Float[Tensor, "B N H W"]:
        """Density of every object in all places: Gaussians, and a little everywhere.

        Far from all of them nothing speaks for any.
        """
        x, y = (self._gaussian(centres, widths) / widths[..., None]).unbind(-2)
        return y[..., :, None] * x[..., None, :] + NOWHERE

    def without(
        self, evidence: Float[Tensor, "B H W"], place: Float[Tensor, "B 2"], tight: bool = False
    ) -> Float[Tensor, "B H W"]:
        """The evidence that an object at ``place`` does not explain.

        A ``tight`` claim leaves nothing close by, and more around: what a second object beside it shows.
        """
        claim, radius = self.claim.sigmoid(), self.log_claimed.exp()
        if tight:
            claim, radius = torch.ones_like(claim) - LEFT, TIGHT * radius
        x, y = self._gaussian(place, radius.expand_as(place)).unbind(-2)
        return evidence * (1.0 - claim * y[:, :, None] * x[:, None, :])

    def _distance(self, centre: Tensor, width: Tensor) -> Float[Tensor, "*B 2 P"]:
        """Of every pixel along x and y, in widths."""
        return (self.axis - centre[..., None]) / width[..., None]

    def _gaussian(self, centre: Tensor, width: Tensor) -> Float[Tensor, "*B 2 P"]:
        """Along x and y."""
        return (-0.5 * self._distance(centre, width).square().clamp(max=60.0)).exp()

    def _attend(self, evidence: Tensor, log_window: Float[Tensor, "B 2 P"]) -> Glimpse:
        """Mean and variance of the place, under evidence times window."""
        # Only differences within the picture count: the largest weight is 1.
        window = (log_window - log_window.detach().amax(dim=-1, keepdim=True)).clamp(min=-40.0).exp()
        powers = torch.stack([torch.ones_like(self.axis), self.axis, self.axis.square()])
        along_x, along_y = window.unbind(-2)
        columns = evidence @ (along_x[:, None] * powers).mT  # [B, H, 3]: sums over each row
        total = along_y[:, None] @ columns  # [B, 1, 3]
        rows = (along_y[:, None] * powers[1:]) @ columns[..., :1]  # [B, 2, 1]
        mass = total[:, 0, 0]
        moments = torch.stack([total[:, 0, 1:], rows[..., 0]], dim=-1) / mass[:, None, None]
        place, squares = moments.unbind(1)
        return Glimpse(place, (squares - place.square()).clamp(min=0.0), mass.log())
