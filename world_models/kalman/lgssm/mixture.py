"""Mixtures of Gaussians: moments, components, samples."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class GaussianMixture:
    """K weighted Gaussians for each row of ``*B``, whose last axis may be time.

    Covariances may have 1 in the place of an axis whose rows share them.
    """

    log_weights: Float[Tensor, "*B K"]
    means: Float[Tensor, "*B K X"]
    covariances: Float[Tensor, "*#B K X X"]

    def at(self, step: int) -> "GaussianMixture":
        """One step of the time axis, the last before K; negative steps count from the end."""
        return GaussianMixture(
            self.log_weights.select(-2, step), self.means.select(-3, step), self.covariances.select(-4, step)
        )

    def moments(self) -> tuple[Float[Tensor, "*B X"], Float[Tensor, "*B X X"]]:
        """Mean and covariance of the mixture as a whole."""
        weights = self.log_weights.exp()[..., None]
        mean = (weights * self.means).sum(dim=-2)
        apart = self.means - mean[..., None, :]
        within = (weights[..., None] * self.covariances).sum(dim=-3)
        return mean, within + (weights * apart).mT @ apart

    def most_likely(self) -> tuple[Float[Tensor, "*B X"], Float[Tensor, "*B X X"]]:
        """Mean and covariance of the component with the largest weight."""
        return self.component(self.log_weights.argmax(dim=-1))

    def component(self, index: Int[Tensor, "*B"]) -> tuple[Float[Tensor, "*B X"], Float[Tensor, "*B X X"]]:
        """Mean and covariance of one component per row."""
        mean = torch.take_along_dim(self.means, index[..., None, None], dim=-2)
        covariance = torch.take_along_dim(self.covariances, index[..., None, None, None], dim=-3)
        return mean.squeeze(-2), covariance.squeeze(-3)


@torch.no_grad()
def draw(mixture: GaussianMixture, generator: torch.Generator) -> Float[Tensor, "*B X"]:
    """One sample per row; without gradients."""
    weights = mixture.log_weights.exp()
    index = torch.multinomial(weights.reshape(-1, weights.shape[-1]), 1, generator=generator)
    mean, covariance = mixture.component(index.reshape(weights.shape[:-1]))
    return mean + noise(covariance, mean.shape, generator)


def noise(
    covariance: Float[Tensor, "*#B X X"], shape: tuple[int, ...], generator: torch.Generator
) -> Float[Tensor, "*B X"]:
    """Gaussian noise of mean 0 and the given shape ``[*B X]``; the covariance may be singular."""
    values, vectors = torch.linalg.eigh(covariance)
    root = vectors * values.clamp(min=0.0).sqrt()[..., None, :]
    white = torch.randn(shape, generator=generator, dtype=covariance.dtype, device=covariance.device)
    return (root @ white[..., None]).squeeze(-1)
