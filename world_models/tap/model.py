"""TAP: a bottleneck frame between start and goal, whenever it comes (Jayaraman et al. 2019).

The baseline of KeyIn's planning table (section 4.3), on the embeddings of a frozen frame autoencoder. The
loss is the minimum over time, so the model is free to predict the frame that it can predict best. More
subgoals come from recursion: one between start and bottleneck, one between bottleneck and goal, and so on.
"""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from world_models.checkpoint import load_model
from world_models.hub.repository import FromHub
from world_models.layers import Gaussian, GaussianHead, reparameterise
from world_models.tap.config import TapConfig

DEPTH = 3
"""How often training halves a sequence at most: enough for 15 subgoals."""


class Tap(FromHub, nn.Module):
    """A conditional VAE of the frame in between: start, goal and latent -> bottleneck.

    The prior of the latent is learned and depends on start and goal.
    """

    def __init__(self, config: TapConfig) -> None:
        super().__init__()
        size, hidden, latent = config.embedding, config.hidden, config.latent
        self.config = config
        self.prior_head = GaussianHead(2 * size, hidden, latent, standard=True)
        self.posterior_head = GaussianHead(3 * size, hidden, latent, spread=-2.0)
        self.correction = nn.Sequential(
            nn.Linear(2 * size + latent, hidden),
            nn.GELU(),
            nn.Linear(hidden, hidden),
            nn.GELU(),
            nn.Linear(hidden, size),
        )
        self.norm = nn.LayerNorm(size, elementwise_affine=False)

    @classmethod
    def load(cls, folder: Path, device: torch.device | str = "cpu") -> "Tap":
        """Load a model folder, ready for use.

        Raises:
            CheckpointError: the folder is missing, incomplete, tampered with or of another kind.
        """
        return load_model(folder, cls, TapConfig, device)

    def prior(self, start: Float[Tensor, "B F"], goal: Float[Tensor, "B F"]) -> Gaussian:
        """p(z | start, goal)."""
        return self.prior_head(torch.cat([start, goal], dim=-1))

    def posterior(
        self, start: Float[Tensor, "B F"], goal: Float[Tensor, "B F"], between: Float[Tensor, "B F"]
    ) -> Gaussian:
        """q(z | start, goal, the frame to predict)."""
        return self.posterior_head(torch.cat([start, goal, between], dim=-1))

    def decode(
        self, start: Float[Tensor, "B F"], goal: Float[Tensor, "B F"], latent: Float[Tensor, "B Z"]
    ) -> Float[Tensor, "B F"]:
        """The bottleneck that ``latent`` stands for; it has mean 0 and variance 1 over F."""
        correction = self.correction(torch.cat([start, goal, latent], dim=-1))
        return self.norm((0.5 * (start + goal) + correction).float())

    def predict(
        self, start: Float[Tensor, "B F"], goal: Float[Tensor, "B F"], noise: Float[Tensor, "B Z"]
    ) -> Float[Tensor, "B F"]:
        """A bottleneck between ``start`` and ``goal``, where ``noise`` ~ N(0, I) decides which."""
        return self.decode(start, goal, reparameterise(self.prior(start, goal), noise))

    def subgoals(
        self, start: Float[Tensor, "B F"], goal: Float[Tensor, "B F"], noise: Float[Tensor, "B K Z"]
    ) -> Float[Tensor, "B K F"]:
        """K subgoals in the order of time; ``noise[:, k]`` ~ N(0, I) decides on subgoal k.

        The middle one (of an even number the earlier) is predicted first, then those on either side of it.

        Raises:
            ValueError: K is zero.
        """
        count = noise.shape[1]
        if not count:
            raise ValueError("noise must hold the decisions of at least one subgoal")
        middle = (count - 1) // 2
        bottleneck = self.predict(start, goal, noise[:, middle])
        parts = [bottleneck[:, None]]
        if middle:
            parts.insert(0, self.subgoals(start, bottleneck, noise[:, :middle]))
        if middle + 1 < count:
            parts.append(self.subgoals(bottleneck, goal, noise[:, middle + 1 :]))
        return torch.cat(parts, dim=1)
