"""What a Kalman model maximises (Chiappa and Paquet 2019, eq. 7)."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from world_models.kalman.lgssm.filter import log_likelihood
from world_models.kalman.model import Kalman


@dataclass(frozen=True)
class Bound:
    """The parts of the lower bound on log p(v), in nats per video."""

    log_pictures: Float[Tensor, " B"]
    """log p(v | a) for a sample of the positions a."""
    kl: Float[Tensor, " B"]
    """KL[q(a | v) || p(a)]: the entropy of q in closed form, log p(a) by Kalman filters (eq. 10)."""


def lower_bound(
    model: Kalman,
    frames: Float[Tensor, "B T 1 H W"],
    objects: int,
    noise: Float[Tensor, "B N T 2"],
    drawn: Int[Tensor, " R"] | None = None,
    careful: bool = True,
) -> Bound:
    """The bound with one sample of the positions.

    Args:
        model: the model.
        frames: pictures in [0, 1].
        objects: how many objects there are.
        noise: standard normal.
        drawn: steps whose pictures are compared; their mean stands for that of all. None compares all.
        careful: as in :meth:`Kalman.infer`.
    """
    inferred = model.infer(frames, objects, careful=careful)
    with torch.autocast(frames.device.type, enabled=False):
        places = inferred.means + (0.5 * inferred.log_variances).exp() * noise
        entropy = 0.5 * (inferred.log_variances + math.log(2.0 * math.pi * math.e)).sum(dim=(1, 2, 3))
        kl = -entropy - log_likelihood(model.dynamics(), places).sum(dim=1)
    steps = torch.arange(frames.shape[1], device=frames.device) if drawn is None else drawn
    logits = model.render(places[:, :, steps].movedim(1, 2))
    losses = functional.binary_cross_entropy_with_logits(logits, frames[:, steps], reduction="none")
    return Bound(-losses.sum(dim=(2, 3, 4)).mean(dim=1) * frames.shape[1], kl)
