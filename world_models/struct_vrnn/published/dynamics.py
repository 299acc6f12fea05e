"""The dynamics as published: equations 1 to 4 and section S1.1.2.

Prior, posterior and decoder know of the past what the recurrent state holds, and nothing besides. Actions
enter the recurrence alone, so an action acts from the frame after the one that it leads to. The decoder
answers features, not their change.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from world_models.layers import Gaussian, GaussianHead
from world_models.struct_vrnn.config import StructVRNNConfig
from world_models.struct_vrnn.dynamics import Belief, KeypointDynamics

LEAST_SPREAD = 1e-4
"""Standard deviations are softplus + this, as in the authors' code; the paper does not say."""


class PublishedDynamics(KeypointDynamics):
    """Dense layers with rectified linear units, weights "He uniform" (S1.2)."""

    def __init__(self, config: StructVRNNConfig) -> None:
        nn.Module.__init__(self)
        self.config = config
        features, hidden = config.features, config.hidden
        latent = config.latent if config.stochastic else 0
        if config.stochastic:
            self.prior_head = SpreadHead(hidden, config.prior_width, latent)
            self.posterior_head = SpreadHead(hidden + features, config.posterior_width, latent)
        self.decoder = _dense(hidden + latent, config.posterior_width, features)
        self.gru = nn.GRUCell(features + latent + 2 * config.actions, hidden)

    def known(self, belief: Belief, action: Float[Tensor, "B P"]) -> Float[Tensor, "B H"]:
        """The recurrent state."""
        return belief.hidden

    def follow(self, belief: Belief, decoded: Float[Tensor, "*N B F"]) -> Float[Tensor, "*N B F"]:
        """What is decoded are the features themselves."""
        return decoded


class SpreadHead(GaussianHead):
    """Mean and standard deviation of a diagonal Gaussian (eq. S6, S7)."""

    def __init__(self, inputs: int, hidden: int, size: int) -> None:
        nn.Module.__init__(self)
        self.net = _dense(inputs, hidden, 2 * size)

    def forward(self, features: Float[Tensor, "*B I"]) -> Gaussian:
        """Mean and log variance."""
        mean, raw = self.net(features).float().chunk(2, dim=-1)
        return mean, 2.0 * torch.log(functional.softplus(raw) + LEAST_SPREAD)


def _dense(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    layers = nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))
    for layer in (layers[0], layers[2]):
        assert isinstance(layer, nn.Linear)
        nn.init.kaiming_uniform_(layer.weight)
        nn.init.zeros_(layer.bias)
    return layers
