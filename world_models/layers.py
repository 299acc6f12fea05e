"""Network pieces that several models share."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

Gaussian = tuple[Float[Tensor, "*B Z"], Float[Tensor, "*B Z"]]
"""Mean and log variance of a diagonal Gaussian."""


def mlp(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """Two linear layers with a GELU between."""
    return nn.Sequential(nn.Linear(inputs, hidden), nn.GELU(), nn.Linear(hidden, outputs))


LOG_VARIANCE = (-8.0, 4.0)
"""Where log variances stay."""


class GaussianHead(nn.Module):
    """Mean and log variance of a diagonal Gaussian, from features; see :data:`LOG_VARIANCE`.

    Args:
        standard: start as N(0, I) exactly (last layer zero) instead of at random.
        spread: added to the log variance, e.g. -2 for a posterior that starts narrow.
    """

    def __init__(
        self, inputs: int, hidden: int, size: int, *, standard: bool = False, spread: float = 0.0
    ) -> None:
        super().__init__()
        self.net = mlp(inputs, hidden, 2 * size)
        self.spread = spread
        if standard:
            last = self.net[-1]
            assert isinstance(last, nn.Linear)
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, features: Float[Tensor, "*B I"]) -> Gaussian:
        mean, log_variance = self.net(features).float().chunk(2, dim=-1)
        return mean, (log_variance + self.spread).clamp(*LOG_VARIANCE)


def reparameterise(gaussian: Gaussian, noise: Float[Tensor, "*B Z"]) -> Float[Tensor, "*B Z"]:
    """Sample ``mean + std * noise``, differentiable in the Gaussian's parameters."""
    mean, log_variance = gaussian
    return mean + torch.exp(0.5 * log_variance) * noise


class FrameEncoder(nn.Module):
    """Picture -> embedding of mean 0 and variance 1: what is where, and where things are.

    It sees the difference to a typical picture (``background``, given by the trainer): a thin thing in front
    of a large plain is hardly noticed otherwise. Stride-2 convolutions feed two paths: coarse feature maps,
    and keypoints (the expected position under the softmax of a feature map), which say to a fraction of a
    pixel where something is. Two linear layers and a LayerNorm without parameters join them.
    """

    def __init__(self, size: int, widths: Sequence[int], keypoints: int, hidden: int, features: int) -> None:
        super().__init__()
        *early, last = widths
        ends = zip((3, *early[:-1]), early, strict=True)
        self.early = nn.Sequential(
            *(layer for i, o in ends for layer in (nn.Conv2d(i, o, 4, 2, 1), nn.ReLU()))
        )
        self.maps = nn.Conv2d(early[-1], keypoints, 3, padding=1)
        self.late = nn.Sequential(nn.Conv2d(early[-1], last, 4, 2, 1), nn.ReLU(), nn.Flatten())
        side = size >> len(widths)
        self.join = mlp(last * side * side + 2 * keypoints, hidden, features)
        self.norm = nn.LayerNorm(features, elementwise_affine=False)
        grid = torch.stack(torch.meshgrid(_centers(2 * side), _centers(2 * side), indexing="ij"))
        self.register_buffer("grid", grid.flatten(1), persistent=False)
        self.grid: Tensor
        self.register_buffer("background", torch.zeros(3, size, size))
        self.background: Tensor

    def forward(self, frames: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F"]:
        seen = self.early((frames - self.background) * 4.0)
        where = torch.softmax(self.maps(seen).flatten(2).float(), dim=-1)
        keypoints = torch.einsum("bkp,cp->bkc", where, self.grid).flatten(1)
        # Scaled up, as the pixels are, because what matters is a small part of the range.
        return self.norm(self.join(torch.cat([self.late(seen).float(), 4.0 * keypoints], dim=-1)).float())


class BlobDecoder(nn.Module):
    """Embedding -> logits of a picture, painted from soft oriented blobs.

    The embedding fixes amplitude, centre and shape of each blob (a Gaussian, round as a puck or long as a
    wall). Convolutions turn the blobs, rendered at half size, into a picture on a learned background. An
    embedding between two others moves a thing rather than fading it out here and in there, which plain
    convolutional decoders do; and what a thing looks like is learned once, not for every place.
    """

    def __init__(self, size: int, blobs: int, hidden: int, features: int) -> None:
        super().__init__()
        self.blobs = blobs
        self.place = mlp(features, hidden, 6 * blobs)
        width = 3 * blobs // 2
        convolutions = (nn.Conv2d(blobs, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, 12, 3, padding=1))
        self.paint = nn.Sequential(*convolutions, nn.PixelShuffle(2))
        self.background = nn.Parameter(torch.zeros(3, size, size))
        row, column = torch.meshgrid(_centers(size // 2), _centers(size // 2), indexing="ij")
        places = torch.stack([torch.ones_like(row), column, row, column**2, column * row, row**2])
        self.register_buffer("basis", places.flatten(1), persistent=False)
        self.basis: Tensor
        last = self.place[-1]
        assert isinstance(last, nn.Linear)
        with torch.no_grad():  # visible blobs of a third of the picture, all over the place
            start = last.bias.zero_().view(blobs, 6)
            start[:, 0] = 1.0
            start[:, 1:3].uniform_(-0.8, 0.8)
            start[:, 3:5] = 1.2

    def forward(self, features: Float[Tensor, "B F"]) -> Float[Tensor, "B C H W"]:
        return self.paint(self.render(self.place(features).float())).float() + self.background

    def render(self, parameters: Float[Tensor, "B {6*self.blobs}"]) -> Float[Tensor, "B {self.blobs} P P"]:
        """Gaussians of given amplitude, centre (x, y in -1..1), log inverse widths and shear.

        The exponent ``-(u^2 + v^2) / 2`` with ``u = a (X - x) + s (Y - y)`` and ``v = b (Y - y)`` is a
        polynomial in the pixel's place (X, Y): one matrix product for all blobs and pixels.
        """
        amplitude, x, y, log_u, log_v, shear = parameters.unflatten(-1, (self.blobs, 6)).unbind(-1)
        a, b = torch.exp(log_u.clamp(max=4.0)), torch.exp(log_v.clamp(max=4.0))
        xx, xy, yy = a * a, a * shear, shear * shear + b * b
        constant = xx * x * x + 2 * xy * x * y + yy * y * y
        terms = [constant, -2 * (xx * x + xy * y), -2 * (xy * x + yy * y), xx, 2 * xy, yy]
        with torch.autocast(parameters.device.type, enabled=False):
            exponent = (-0.5 * torch.stack(terms, dim=-1)) @ self.basis
        # Far from a blob the exponential would be a denormal number, which CPUs are very slow at.
        gaussians = exponent.clamp_(min=-40.0).exp_()
        side = self.background.shape[-1] // 2
        return (amplitude[..., None] * gaussians).unflatten(-1, (side, side))


def _centers(count: int) -> Float[Tensor, " count"]:
    """Centres of ``count`` equal cells of -1..1."""
    return (torch.arange(count) + 0.5) * (2.0 / count) - 1.0
