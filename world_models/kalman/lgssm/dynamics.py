"""The learned parameters of the state-space model (Chiappa and Paquet 2019, section 2.1.2)."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from world_models.kalman.lgssm.filter import LGSSM, newtonian

AXES = 2
STATE = 2 * AXES
FLOOR = 1e-6
"""Added to the variances, so that single precision suffices."""


class NewtonianDynamics(nn.Module):
    """Newton's laws with unknown sampling period, force and noises, and an unknown start (eq. 3, 4).

    Starts as the paper's example does (section 3.2): no force, period 0.1, process noise 0.001, start means
    drawn, no mean velocity. Covariances are products of triangular factors, which keeps them valid.

    Args:
        components: K.
        scale: half the width of the picture, in latent units: how widely the start is spread.
        published: all variances and start positions as in the paper's example, in which the latent plane has
            no unit: noise of observations and start are N(0, I), start positions N(0, I).
    """

    def __init__(self, components: int, scale: float, published: bool = False) -> None:
        super().__init__()
        self.scale = 1.0 if published else scale
        self.log_period = nn.Parameter(torch.tensor(math.log(0.1)))
        self.force = nn.Parameter(torch.zeros(STATE))
        self.process = nn.Parameter(_factor([math.sqrt(1e-3)] * STATE))
        self.observation = nn.Parameter(_factor([1.0 if published else 0.1 * scale] * AXES))
        self.start_logits = nn.Parameter(torch.zeros(components))
        places = torch.randn(components, AXES) / (1.0 if published else 2.0)
        means = torch.cat([places, torch.zeros(components, AXES)], dim=-1)
        self.start_means = nn.Parameter(means)
        wide = _factor([1.0] * STATE if published else [0.6 * scale] * AXES + [0.4 * scale] * AXES)
        self.start = nn.Parameter(wide.expand(components, -1, -1).clone())

    def forward(self) -> LGSSM:
        """The parameters, in the precision they are stored in; to be used outside autocast."""
        transition, emission = newtonian(self.log_period.exp(), AXES)
        return LGSSM(
            transition=transition,
            force=self.force,
            process_noise=_covariance(self.process),
            emission=emission,
            observation_noise=_covariance(self.observation),
            start_logits=self.start_logits,
            # One step of the optimiser means about as much to a mean as to a scale.
            start_means=self.scale * self.start_means,
            start_covariances=_covariance(self.start),
        )


def _factor(deviations: list[float]) -> Float[Tensor, "X X"]:
    """Parameters of a diagonal covariance: logarithms of the standard deviations on the diagonal."""
    return torch.tensor(deviations).log().diag()


def _covariance(factor: Float[Tensor, "*B X X"]) -> Float[Tensor, "*B X X"]:
    with torch.autocast(factor.device.type, enabled=False):
        diagonal = factor.diagonal(dim1=-2, dim2=-1).exp()
        root = factor.tril(-1) + diagonal.diag_embed()
        return root @ root.mT + FLOOR * torch.eye(factor.shape[-1], dtype=factor.dtype, device=factor.device)
