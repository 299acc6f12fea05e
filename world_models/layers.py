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


class GaussianHead(nn.Module):
    """Mean and log variance of a diagonal Gaussian, from features; the log variance stays in ``[-8, 4]``.

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
        return mean, (log_variance + self.spread).clamp(-8.0, 4.0)


def reparameterise(gaussian: Gaussian, noise: Float[Tensor, "*B Z"]) -> Float[Tensor, "*B Z"]:
    """Sample ``mean + std * noise``, differentiable in the Gaussian's parameters."""
    mean, log_variance = gaussian
    return mean + torch.exp(0.5 * log_variance) * noise


class ConvEncoder(nn.Module):
    """Stride-2 convolutions, two linear layers, LayerNorm without parameters: picture -> embedding."""

    def __init__(self, size: int, widths: Sequence[int], hidden: int, features: int) -> None:
        super().__init__()
        ends = zip((3, *widths[:-1]), widths, strict=True)
        layers = [layer for i, o in ends for layer in (nn.Conv2d(i, o, 4, 2, 1), nn.GELU())]
        side = size >> len(widths)
        self.net = nn.Sequential(*layers, nn.Flatten(), mlp(widths[-1] * side * side, hidden, features))
        self.norm = nn.LayerNorm(features, elementwise_affine=False)

    def forward(self, frames: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F"]:
        return self.norm(self.net(frames).float())


class ConvDecoder(nn.Module):
    """The way back: linear layers, 3x3 convolution + PixelShuffle per doubling, a learned background.

    Its output are logits; ``sigmoid`` makes the picture. Convolution + PixelShuffle is as exact as a
    transposed convolution and much faster on CPUs.
    """

    def __init__(self, size: int, widths: Sequence[int], hidden: int, features: int) -> None:
        super().__init__()
        side = size >> len(widths)
        self.expand = mlp(features, hidden, widths[-1] * side * side)
        outputs = (*reversed(widths[:-1]), 3)
        layers: list[nn.Module] = [nn.Unflatten(-1, (widths[-1], side, side))]
        for inputs, width in zip(reversed(widths), outputs, strict=True):
            layers += [nn.GELU(), nn.Conv2d(inputs, 4 * width, 3, padding=1), nn.PixelShuffle(2)]
        self.paint = nn.Sequential(*layers)
        self.background = nn.Parameter(torch.zeros(3, size, size))

    def forward(self, features: Float[Tensor, "B F"]) -> Float[Tensor, "B C H W"]:
        return self.paint(self.expand(features)).float() + self.background
