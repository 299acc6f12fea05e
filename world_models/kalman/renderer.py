"""From latent positions to pictures (Chiappa and Paquet 2019, section 2.1.1)."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from world_models.kalman.inference.published import initialise

SHARPNESS = 24.0
"""How fast an entry of the renderer's state changes at first, per half width of the picture."""
DARK = -4.6
"""Logits that pictures start from: a hundredth of the pixels is white."""


class Renderer(nn.Module):
    """Objects are written into a state one after the other, each where its attention mask is (eq. 1, 2).

    Weights start out of use, not anywhere: every entry of mask and contribution is a soft half-plane whose
    edge is somewhere in the picture. Where ``published`` they start as in the paper.
    """

    def __init__(self, image_size: int, canvas: int, scale: float, published: bool = False) -> None:
        super().__init__()
        self.image_size = image_size
        self.empty = nn.Parameter(torch.zeros(canvas))
        self.mask = _half_planes(canvas, scale)
        self.contribution = _half_planes(canvas, scale)
        self.paint = nn.Linear(canvas, image_size**2)
        nn.init.normal_(self.paint.weight, std=0.02)
        nn.init.constant_(self.paint.bias, DARK)
        if published:
            for layer in (self.mask, self.contribution, self.paint):
                initialise(layer)

    def forward(self, places: Float[Tensor, "*B N 2"]) -> Float[Tensor, "*B 1 H W"]:
        """Logits of the pixels."""
        state = self.empty.tanh().expand(*places.shape[:-2], -1)
        with torch.autocast(places.device.type, enabled=False):  # places need all their digits
            masks, contributions = self.mask(places).sigmoid(), self.contribution(places).tanh()
            for mask, contribution in zip(masks.unbind(-2), contributions.unbind(-2), strict=True):
                state = (1.0 - mask) * state + mask * contribution
        logits: Tensor = self.paint(state).float()
        return logits.unflatten(-1, (1, self.image_size, self.image_size))


def _half_planes(canvas: int, scale: float) -> nn.Linear:
    """A layer whose outputs are 0 on random lines through the picture, in all directions."""
    layer = nn.Linear(2, canvas)
    with torch.no_grad():
        angle = torch.rand(canvas) * 2.0 * math.pi
        slope = SHARPNESS * torch.exp(0.5 * torch.randn(canvas))
        offset = 1.2 * (2.0 * torch.rand(canvas) - 1.0)
        layer.weight.copy_(torch.stack([angle.cos(), angle.sin()], dim=-1) * slope[:, None] / scale)
        layer.bias.copy_(-slope * offset)
    return layer
