"""Training objectives of Struct-VRNN (section 4)."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from world_models.layers import Gaussian
from world_models.losses import gaussian_kl
from world_models.struct_vrnn.dynamics import Belief, KeypointDynamics


def separation_loss(features: Float[Tensor, "B T F"], width: float) -> Float[Tensor, ""]:
    """Overlap of keypoint trajectories with their means taken off (eq. 5), summed over all pairs k != k'.

    Coordinates are in -1..1; the mean over the batch.
    """
    path = features.unflatten(-1, (-1, 3))[..., :2]
    path = (path - path.mean(1, keepdim=True)).transpose(1, 2).flatten(2)  # B K 2T
    norms = path.square().sum(-1)
    distances = norms[:, :, None] + norms[:, None, :] - 2.0 * path @ path.transpose(1, 2)
    overlap = torch.exp(-distances.clamp(min=0.0) / features.shape[1] / (2.0 * width**2))
    return (overlap.sum((-2, -1)) - overlap.diagonal(dim1=-2, dim2=-1).sum(-1)).mean()


@dataclass(frozen=True)
class SequenceLoss:
    """Losses of a batch of feature sequences, summed over features, averaged over batch and frames."""

    seen: Float[Tensor, ""]
    future: Float[Tensor, ""]
    kl: Float[Tensor, ""]


@dataclass(frozen=True)
class Sampling:
    """How a training sequence is rolled out."""

    observed: int
    """T, frames that are seen; the others are predicted."""
    samples: int
    """Latents drawn per frame, of which the best counts (eq. 8); 1 switches best-of-many off."""
    own_seen: float
    """Probability that the recurrence is fed the model's own frame where frames are seen."""
    own_future: float
    """The same where they are predicted (section S1.3)."""
    prior_learns: bool = False
    """Whether errors of predicted frames train the prior too, as eq. 7 has it."""


def sequence_loss(
    dynamics: KeypointDynamics,
    features: Float[Tensor, "B T F"],
    actions: Float[Tensor, "B T-1 P"],
    sampling: Sampling,
    generator: torch.Generator,
) -> SequenceLoss:
    """Equations 6 to 8: half the squared error of seen and of predicted frames, and the KL of seen ones.

    Unless asked for otherwise, the prior learns from the KL only: its parameters are constants where frames
    are predicted, as in the authors' code.
    """
    batch, frames = features.shape[:2]
    belief = dynamics.start(batch, features.device)
    errors = list[Tensor]()
    kl = features.new_zeros(())
    for t in range(frames):
        seen = t < sampling.observed
        action = actions[:, t - 1] if t else actions.new_zeros(batch, actions.shape[-1])
        known = dynamics.known(belief, action)
        if dynamics.config.stochastic:
            prior = dynamics.prior(known)
            if seen:
                gaussian = dynamics.posterior(known, features[:, t])
                kl = kl + gaussian_kl(gaussian, prior).mean()
            else:
                gaussian = prior if sampling.prior_learns else (prior[0].detach(), prior[1].detach())
            noise = _best_noise(
                dynamics, belief, known, gaussian, features[:, t], sampling.samples, generator
            )
            latent = gaussian[0] + torch.exp(0.5 * gaussian[1]) * noise
        else:
            latent = known.new_zeros(batch, 0)
        predicted = dynamics.decode(belief, known, latent)
        errors.append(0.5 * (predicted - features[:, t]).square().sum(-1).mean())
        own = sampling.own_seen if seen else sampling.own_future
        if seen and dynamics.config.sees_directly:
            own = 0.0
        fed = predicted if _flip(own, generator) else features[:, t]
        belief = dynamics.advance(belief, fed, latent, action)
    before = errors[: sampling.observed]
    after = errors[sampling.observed :]
    return SequenceLoss(torch.stack(before).mean(), torch.stack(after).mean(), kl / max(len(before), 1))


def open_loop_loss(
    dynamics: KeypointDynamics,
    features: Float[Tensor, "B T F"],
    actions: Float[Tensor, "B T-1 P"],
    observed: int,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Errors of what planners and reward heads are given: frames imagined one after the other with the
    prior's means, without best-of-many and without true frames in between.

    Answers half the squared error of imagined features, summed over these, and the squared distance of
    imagined recurrent states from those of having seen the frames, which are constants (latent consistency,
    as in TD-MPC; Hansen, Wang and Su 2022); means over batch and frames.
    """
    seen = dynamics.observe(features, actions)
    belief = Belief(seen.hidden[:, observed - 1], seen.features[:, observed - 1])
    future = dynamics.imagine(belief, actions[:, observed - 1 :])
    error = 0.5 * (future.features - features[:, observed:]).square().sum(-1).mean()
    return error, (future.hidden - seen.hidden[:, observed:].detach()).square().mean()


@torch.no_grad()
def _best_noise(
    dynamics: KeypointDynamics,
    belief: Belief,
    known: Tensor,
    gaussian: Gaussian,
    target: Float[Tensor, "B F"],
    samples: int,
    generator: torch.Generator,
) -> Float[Tensor, "B Z"]:
    """Of ``samples`` draws per row, the one whose frame is nearest to the true one.

    Only the winner is decoded again with gradients: the maximum of eq. 8 has no other.
    """
    mean, log_variance = gaussian
    noise = torch.randn(samples, *mean.shape, generator=generator).to(mean.device)
    if samples == 1:
        return noise[0]
    frames = dynamics.decode_samples(belief, known, mean + torch.exp(0.5 * log_variance) * noise)
    best = (frames - target).square().sum(-1).argmin(0)
    return noise[best, torch.arange(len(best), device=best.device)]


def _flip(probability: float, generator: torch.Generator) -> bool:
    """One coin for the whole batch."""
    return torch.rand((), generator=generator).item() < probability
