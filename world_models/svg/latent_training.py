"""Training of SVG's recurrent part on embeddings that stay as they are."""

import math
from functools import partial
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from world_models.layers import Gaussian, reparameterise
from world_models.losses import Loss, gaussian_kl
from world_models.svg.latent import LatentSVG
from world_models.training.fit import FitConfig, NonNegativeFloat, fit
from world_models.training.run import Session


class SVGStage(FitConfig):
    """How the recurrent part learns."""

    beta: NonNegativeFloat = 0.02
    """Weight of the KL in nats against the squared embedding error. Neighbouring frames differ little: with
    0.2 or more on Structured Brownian motion the latent is not used, and nothing surprises."""
    variance: Literal["fixed", "optimal"] = "fixed"
    """``fixed`` weighs the squared error by 1. ``optimal`` takes the negative log likelihood in nats of a
    Gaussian whose one variance is the best for each batch (sigma-VAE, Rybkin et al. 2021), which makes
    ``beta`` 1 the lower bound itself."""

    def weigh(self, error: Float[Tensor, ""], kl: Float[Tensor, ""], size: int) -> Float[Tensor, ""]:
        """The objective of one step, from the squared error summed over ``size`` numbers and the KL."""
        if self.variance == "optimal":
            # The best variance is the mean squared error; with it in place, only its logarithm is left.
            error = 0.5 * size * torch.log(2.0 * math.pi * math.e * error / size)
        return error + self.beta * kl


def svg_loss(
    model: LatentSVG,
    embeddings: Float[Tensor, "n T F"],
    actions: Float[Tensor, "n T-1 A"] | None,
    stage: SVGStage,
    device: torch.device,
    _step: int,
    generator: torch.Generator,
) -> Loss:
    """The negative lower bound of section 3 on random sequences, per step: squared error + beta KL.

    As in the paper the predictor sees the true frames, and every step is weighed, those of the context too.
    """
    rows = torch.randint(len(embeddings), (stage.batch,), generator=generator)
    frames = embeddings[rows].float().to(device)
    acted = model.driven(frames, None if actions is None else actions[rows].to(device))
    posterior = model.posterior(frames)
    latents = draw(posterior, generator)
    predicted, _ = model.predict(frames[:, :-1], latents, acted)
    error = (predicted - frames[:, 1:]).square().sum(-1).mean()
    expected, _ = model.prior(frames[:, :-1], acted)
    kl = gaussian_kl(posterior, expected).mean()
    return Loss(stage.weigh(error, kl, frames.shape[-1]), {"frame": error, "kl": kl})


def draw(gaussian: Gaussian, generator: torch.Generator) -> Float[Tensor, "*B Z"]:
    """A sample, differentiable in the Gaussian's parameters; ``generator`` lives on the CPU."""
    noise = torch.randn(gaussian[0].shape, generator=generator).to(gaussian[0].device)
    return reparameterise(gaussian, noise)


def train_svg(
    model: LatentSVG,
    embeddings: Float[Tensor, "n T F"],
    stage: SVGStage,
    session: Session,
    actions: Float[Tensor, "n T-1 A"] | None = None,
) -> None:
    """Learn to predict the next frame; the state is kept in ``svg.safetensors`` of the session's folder."""
    fit("svg", model, partial(svg_loss, model, embeddings, actions, stage, session.device), stage, session)
