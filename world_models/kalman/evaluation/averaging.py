"""How likely every pixel is white, averaged over where a forecast says that the objects are.

The picture of the mean position, as in section 3.4 of the paper, is one sharp guess among many. The forecast
is a density: each object is drawn alone at every place of a grid, its drawings are averaged with the weights
of the density, and a pixel stays black if none of the objects covers it.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from world_models.kalman.model import Kalman
from world_models.kalman.queries import Tracks

SPACING = 1.0
"""Of the grid, in pixels: not more than the noise of seen positions. Half of it changes the loss by 0.2 %."""


class Averaging:
    """Pictures of forecasts by one model, which draws the places of the grid once."""

    @torch.no_grad()
    def __init__(self, model: Kalman) -> None:
        size = model.config.image_size
        axis = torch.arange(0.0, size - 1 + SPACING / 2, SPACING, device=model.pixel_offset.device)
        self.grid = torch.cartesian_prod(axis, axis)
        latent = (self.grid - model.pixel_offset) @ torch.linalg.inv(model.pixel_matrix).mT
        parts = [model.render(part[:, None]).sigmoid() for part in latent.split(1024)]
        self.pictures = torch.cat(parts).flatten(1)
        self.noise = model.spread_to_pixels(model.dynamics().observation_noise)
        self.size = size

    @torch.no_grad()
    def __call__(self, tracks: Tracks) -> Float[Tensor, "B L 1 H W"]:
        """Shares of white for every step of the tracks, in [0, 1]."""
        black = torch.ones(tracks.frames.shape, device=self.grid.device)
        for means, covariances in zip(tracks.means.unbind(1), tracks.covariances.unbind(1), strict=True):
            apart = self.grid - means[..., None, :]  # [B, L, G, 2]
            precision = torch.linalg.inv(covariances + self.noise)
            weights = (-0.5 * ((apart @ precision) * apart).sum(dim=-1)).softmax(dim=-1)
            black = black * (1.0 - weights @ self.pictures).view_as(black)
        return (1.0 - black).clamp(0.0, 1.0)
