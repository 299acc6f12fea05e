"""What it costs to predict one frame as the next keyframe: the other half of the teacher's price.

Of two frames that explain a sequence equally well, the better keyframe is the one that takes less
information to predict: at the end of a push the finger stands where the push has brought it, two frames later
it has already gone where the *next* push needs it. The paper's loss has both halves (eq. 3 and 5: keyframe
error plus KL, and interpolation error); a small conditional VAE prices the first one for all pairs of frames.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from world_models.keyin.config import KeyInConfig
from world_models.layers import Gaussian, GaussianHead, mlp, reparameterise
from world_models.losses import gaussian_kl


class KeyframeCoder(nn.Module):
    """p(next keyframe | keyframe, z) with z ~ N(0, I) of the model's latent size."""

    def __init__(self, config: KeyInConfig) -> None:
        super().__init__()
        pair, self.latent = 2 * config.embedding, config.latent
        self.posterior = GaussianHead(pair, 2 * config.hidden, config.latent, spread=-2.0)
        self.change = mlp(config.embedding + config.latent, 2 * config.hidden, config.embedding)
        self.norm = nn.LayerNorm(config.embedding, elementwise_affine=False)

    def forward(
        self, start: Float[Tensor, "B F"], end: Float[Tensor, "B F"], noise: Float[Tensor, "B Z"]
    ) -> tuple[Float[Tensor, " B"], Float[Tensor, " B"]]:
        """Squared error of ``end`` decoded from a posterior sample, and KL in nats."""
        posterior: Gaussian = self.posterior(torch.cat([start, end], dim=-1))
        latent = reparameterise(posterior, noise)
        decoded = self.norm((start + self.change(torch.cat([start, latent], dim=-1))).float())
        zeros = torch.zeros_like(posterior[0])
        return (decoded - end).square().sum(-1), gaussian_kl(posterior, (zeros, zeros))


def coding_costs(
    coder: KeyframeCoder, frames: Float[Tensor, "B frames F"], longest: int, beta: float
) -> Float[Tensor, "B frames-1 S"]:
    """Error + ``beta`` KL of predicting frame j + d from frame j, at ``[:, j, d - 1]``.

    Decoded from the posterior's mean, which leaves no chance in it. Pairs that would leave the sequence cost
    infinity.
    """
    batch, length, _ = frames.shape
    costs = frames.new_full((batch, length - 1, longest), torch.inf)
    for d in range(1, min(longest, length - 1) + 1):
        start, end = frames[:, :-d].flatten(0, 1), frames[:, d:].flatten(0, 1)
        error, kl = coder(start, end, start.new_zeros(len(start), coder.latent))
        costs[:, : length - d, d - 1] = (error + beta * kl).unflatten(0, (batch, length - d))
    return costs


def random_pairs(
    batch: int, frames: int, longest: int, generator: torch.Generator
) -> tuple[Int[Tensor, " B"], Int[Tensor, " B"]]:
    """Times ``start < end`` in 0..N, at most ``longest`` apart, every distance equally likely."""
    offset = torch.randint(1, min(longest, frames) + 1, (batch,), generator=generator)
    start = (torch.rand(batch, generator=generator) * (frames + 1 - offset)).long()
    return start, start + offset
