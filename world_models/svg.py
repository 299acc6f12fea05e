"""SVG: stochastic prediction frame by frame (Denton & Fergus 2018), and keyframes where it is surprised.

This is SVG-FP, the form with a fixed prior, on the embeddings of a frozen frame autoencoder: what the KeyIn
paper calls the Surprise baseline (sections 4 and 9). The sizes of its networks are KeyIn's.
"""

from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import torch
from jaxtyping import Float, Int
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from world_models.checkpoint import load_model
from world_models.layers import Gaussian, GaussianHead, mlp, reparameterise
from world_models.losses import Loss, gaussian_kl
from world_models.trainer import FitConfig, Positive, Session, fit

Weight = Annotated[float, Field(ge=0)]

LAYERS = 2

LAG = 1
"""Frames from a keyframe to the frame that surprises.

A keyframe is the last frame of the old motion: where a path turns, or a push ends. It still looks as
foreseen; the frame after it is the first that does not.
"""


class SVGConfig(BaseModel):
    """Sizes of an SVG model on embeddings.

    Attributes:
        prior: ``fixed`` is N(0, I) at every step (SVG-FP).
        embedding: size F of a frame's embedding.
        latent: size Z of the latent of one step.
        hidden: width of all recurrent layers.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["svg-latent"] = "svg-latent"
    prior: Literal["fixed"] = "fixed"
    embedding: Positive = 96
    latent: Positive = 10
    hidden: Positive = 192


class SVGStage(FitConfig):
    """How an SVG model learns.

    Attributes:
        beta: weight of the KL in nats against the squared embedding error. Neighbouring frames differ little:
            with 0.2 or more on Structured Brownian motion the latent is not used, and nothing surprises.
    """

    beta: Weight = 0.02


class SVG(nn.Module):
    """``g_t = LSTM_theta(x_{t-1}, z_t)`` with ``z_t ~ q(z_t | x_{1..t})`` or from the prior (section 3).

    The predictor's output is a change of the previous frame, put back on the sphere of embeddings (mean 0,
    variance 1), as KeyIn predicts its keyframes. Times count from the first frame of a sequence, 0.
    """

    def __init__(self, config: SVGConfig) -> None:
        super().__init__()
        size, hidden, latent = config.embedding, config.hidden, config.latent
        self.config = config
        self.predictor = nn.LSTM(size + latent, hidden, LAYERS, batch_first=True)
        self.change = mlp(hidden, hidden, size)
        self.norm = nn.LayerNorm(size, elementwise_affine=False)
        self.inference = nn.LSTM(size, hidden, batch_first=True)
        self.posterior_head = GaussianHead(hidden + size, hidden, latent, spread=-2.0)

    @classmethod
    def load(cls, folder: Path, device: torch.device | str = "cpu") -> "SVG":
        """Load a model folder, ready for use.

        Raises:
            CheckpointError: the folder is missing, incomplete, tampered with or of another kind.
        """
        return load_model(folder, cls, SVGConfig, device)

    def posterior(self, frames: Float[Tensor, "B T F"]) -> Gaussian:
        """q(z_t | x_{0..t}) of the steps t = 1..T-1; mean and log variance are ``[B, T-1, Z]``."""
        memory, _ = self.inference(frames)
        return self.posterior_head(torch.cat([memory, frames], dim=-1)[:, 1:])

    def prior(self, posterior: Gaussian) -> Gaussian:
        """p(z_t) of the same steps."""
        zeros = torch.zeros_like(posterior[0])
        return zeros, zeros

    def predict(
        self, frames: Float[Tensor, "B L F"], latents: Float[Tensor, "B L Z"]
    ) -> Float[Tensor, "B L F"]:
        """The frame after each of ``frames``; entry t depends on frames and latents 0..t only."""
        hidden, _ = self.predictor(torch.cat([frames, latents], dim=-1))
        return self.norm((frames + self.change(hidden)).float())

    def sample(
        self, context: Float[Tensor, "B T F"], noise: Float[Tensor, "B N Z"]
    ) -> Float[Tensor, "B N F"]:
        """The N frames after the context that decisions ``noise`` ~ N(0, I) lead to.

        Latents within the context are the posterior's means. From there on every frame is predicted from
        predicted ones (section 3).
        """
        state = None
        if context.shape[1] > 1:
            known, _ = self.posterior(context)
            _, state = self.predictor(torch.cat([context[:, :-1], known], dim=-1))
        frame, frames = context[:, -1:], []
        for latent in noise.split(1, dim=1):
            hidden, state = self.predictor(torch.cat([frame, latent], dim=-1), state)
            frame = self.norm((frame + self.change(hidden)).float())
            frames.append(frame)
        return torch.cat(frames, dim=1)

    def surprise(self, embeddings: Float[Tensor, "B T F"]) -> Float[Tensor, "B T-1"]:
        """KL[q(z_t | x_{0..t}) || p(z_t)] in nats at t = 1..T-1, context included (KeyIn, section 9)."""
        posterior = self.posterior(embeddings)
        return gaussian_kl(posterior, self.prior(posterior))


def svg_loss(
    model: SVG,
    embeddings: Float[Tensor, "n T F"],
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
    posterior = model.posterior(frames)
    noise = torch.randn(posterior[0].shape, generator=generator).to(device)
    predicted = model.predict(frames[:, :-1], reparameterise(posterior, noise))
    error = (predicted - frames[:, 1:]).square().sum(-1).mean()
    kl = gaussian_kl(posterior, model.prior(posterior)).mean()
    return Loss(error + stage.beta * kl, {"frame": error, "kl": kl})


def train_svg(model: SVG, embeddings: Float[Tensor, "n T F"], stage: SVGStage, session: Session) -> None:
    """Learn to predict the next frame; the state is kept in ``svg.safetensors`` of the session's folder."""
    fit("svg", model, partial(svg_loss, model, embeddings, stage, session.device), stage, session)


def surprise_keyframes(surprise: Float[Tensor, "B N"], count: int) -> Int[Tensor, "B M"]:
    """KeyIn's Algorithm 3: the M = ``count`` keyframes that surprise points to, as increasing times.

    ``surprise[:, t - 1]`` belongs to time t of 1..N. The keyframe of a surprise at t is at ``t - LAG``, so
    the first :data:`LAG` surprises have none. Peaks are larger than both neighbours (the paper's formula has
    one sign wrong); the last time has only one. The largest peaks come first; if they are too few, the
    largest other surprises are added.

    Raises:
        ValueError: there are not that many times to choose from.
    """
    possible = surprise.shape[1] - LAG
    if not 1 <= count <= possible:
        raise ValueError(
            f"{count} keyframes were asked for, but {surprise.shape[1]} frames have 1 to {possible}"
        )
    outside = surprise.new_full((len(surprise), 1), -torch.inf)
    padded = torch.cat([outside, surprise, outside], dim=1)
    peak = (surprise > padded[:, :-2]) & (surprise > padded[:, 2:])
    by_surprise = surprise[:, LAG:].argsort(dim=1, descending=True, stable=True)
    peaks_first = peak[:, LAG:].gather(1, by_surprise).int().argsort(dim=1, descending=True, stable=True)
    return by_surprise.gather(1, peaks_first)[:, :count].sort(dim=1).values + 1
