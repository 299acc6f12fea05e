"""The recurrent part of SVG: posterior, prior and predictor on embeddings of frames (section 3).

The picture model is built on it. Alone, on the embeddings of KeyIn's autoencoder, it is what the KeyIn paper
calls the Surprise baseline (Pertsch et al. 2019, sections 4 and 9).
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from world_models.checkpoint import load_model
from world_models.layers import Gaussian, GaussianHead, mlp, reparameterise
from world_models.losses import gaussian_kl
from world_models.svg.config import LatentSVGConfig

SPREAD = -2.0
"""Log variance of posterior and learned prior before training: where all is certain, both stay narrow."""

Memory = tuple[Tensor, Tensor]
"""Hidden and cell state of an LSTM, ``[layers, B, H]``."""


@dataclass(frozen=True)
class LatentState:
    """What the recurrent networks know after a context. Dimension 0 is the batch, also of memories."""

    embedding: Float[Tensor, "B F"]
    """The last seen frame."""
    predictor: Float[Tensor, "B 2 layers H"]
    """Hidden and cell state of the predictor after it has predicted the last seen frame."""
    prior: Float[Tensor, "B 2 prior_layers H"]
    """The same of the prior's network; one layer, or none where the prior has no network."""

    def repeat(self, times: int) -> "LatentState":
        """Every row ``times`` times in a row."""
        return LatentState(*(part.repeat_interleave(times, 0) for part in vars(self).values()))


class LatentSVG(nn.Module):
    """``g_t = LSTM_theta(x_{t-1}, z_t, a_{t-1})``; ``z_t`` from ``q(z_t | x_{1..t})`` or from the prior.

    The learned prior is ``p(z_t | x_{1..t-1}, a_{1..t-1})``. The predictor's output is a change of the
    previous frame, put back on the sphere of embeddings (mean 0, variance 1). Embeddings, not feature maps,
    are recurrent: the predicted embedding is what goes in next. Times count from the first frame, 0.
    """

    def __init__(self, config: LatentSVGConfig) -> None:
        super().__init__()
        size, hidden, latent, actions = config.embedding, config.hidden, config.latent, config.actions
        self.config = config
        self.predictor = nn.LSTM(size + latent + actions, hidden, config.layers, batch_first=True)
        self.change = mlp(hidden, hidden, size)
        self.norm = nn.LayerNorm(size, elementwise_affine=False)
        if config.prior != "none":
            self.inference = nn.LSTM(size, hidden, batch_first=True)
            self.posterior_head = GaussianHead(hidden + size, hidden, latent, spread=SPREAD)
        if config.prior == "learned":
            self.expectation = nn.LSTM(size + actions, hidden, batch_first=True)
            self.prior_head = GaussianHead(hidden + size, hidden, latent, standard=True, spread=SPREAD)

    @classmethod
    def load(cls, folder: Path, device: torch.device | str = "cpu") -> "LatentSVG":
        """Load a model folder, ready for use.

        Raises:
            CheckpointError: the folder is missing, incomplete, tampered with or of another kind.
        """
        return load_model(folder, cls, LatentSVGConfig, device)

    def posterior(self, frames: Float[Tensor, "B T F"]) -> Gaussian:
        """q(z_t | x_{0..t}) of the steps t = 1..T-1; mean and log variance are ``[B, T-1, Z]``."""
        if self.config.prior == "none":
            nothing = frames.new_zeros(len(frames), frames.shape[1] - 1, 0)
            return nothing, nothing
        memory, _ = self.inference(frames)
        return self.posterior_head(torch.cat([memory, frames], dim=-1)[:, 1:])

    def prior(
        self, frames: Float[Tensor, "B L F"], actions: Float[Tensor, "B L A"], memory: Memory | None = None
    ) -> tuple[Gaussian, Memory | None]:
        """p(z) of the frame after each of ``frames``, which ``actions`` lead to; ``memory`` goes on.

        Entry t depends on frames and actions 0..t only.
        """
        if self.config.prior != "learned":
            zeros = frames.new_zeros(*frames.shape[:2], self.config.latent)
            return (zeros, zeros), None
        hidden, memory = self.expectation(torch.cat([frames, actions], dim=-1), memory)
        return self.prior_head(torch.cat([hidden, frames], dim=-1)), memory

    def predict(
        self,
        frames: Float[Tensor, "B L F"],
        latents: Float[Tensor, "B L Z"],
        actions: Float[Tensor, "B L A"],
        memory: Memory | None = None,
    ) -> tuple[Float[Tensor, "B L F"], Memory]:
        """The frame after each of ``frames``; entry t depends on frames, latents and actions 0..t only."""
        hidden, memory = self.predictor(torch.cat([frames, latents, actions], dim=-1), memory)
        return self.norm((frames + self.change(hidden)).float()), memory

    def observe(self, frames: Float[Tensor, "B T F"], actions: Float[Tensor, "B T-1 A"]) -> LatentState:
        """Take in a context; its latents are the posterior's means."""
        before = frames[:, :-1]
        hidden = (len(frames), 2, self.config.layers, self.config.hidden)
        predictor = frames.new_zeros(hidden)
        prior = frames.new_zeros(len(frames), 2, int(self.config.prior == "learned"), self.config.hidden)
        if frames.shape[1] > 1:
            _, memory = self.predict(before, self.posterior(frames)[0], actions)
            predictor = _pack(memory)
            _, expected = self.prior(before, actions)
            prior = prior if expected is None else _pack(expected)
        return LatentState(frames[:, -1], predictor, prior)

    def imagine(
        self,
        state: LatentState,
        noise: Float[Tensor, "B L Z"],
        actions: Float[Tensor, "B L A"],
        again: Callable[[Tensor], Tensor] | None = None,
    ) -> Float[Tensor, "B L F"]:
        """The frames after the context that draws ``noise`` ~ N(0, I) from the prior lead to.

        Every frame is predicted from predicted ones, and the learned prior sees predicted ones (section 3):
        as they are, or as ``again`` makes them of those answered.
        """
        predictor, frame = _unpack(state.predictor), state.embedding[:, None]
        prior = _unpack(state.prior) if self.config.prior == "learned" else None
        frames = []
        for draw, action in zip(noise.split(1, dim=1), actions.split(1, dim=1), strict=True):
            expected, prior = self.prior(frame, action, prior)
            frame, predictor = self.predict(frame, reparameterise(expected, draw), action, predictor)
            frames.append(frame)
            frame = frame if again is None else again(frame[:, 0])[:, None]
        return torch.cat(frames, dim=1)

    def surprise(
        self, frames: Float[Tensor, "B T F"], actions: Float[Tensor, "B T-1 A"] | None = None
    ) -> Float[Tensor, "B T-1"]:
        """KL[q(z_t | x_{0..t}) || p(z_t)] in nats at t = 1..T-1, context included (KeyIn, section 9).

        Raises:
            ValueError: the model is deterministic and cannot say.
        """
        if self.config.prior == "none":
            raise ValueError(
                "a model without latents is not surprised; choose one with a learned or fixed prior"
            )
        expected, _ = self.prior(frames[:, :-1], self.driven(frames, actions))
        return gaussian_kl(self.posterior(frames), expected)

    def driven(
        self, frames: Float[Tensor, "B T *F"], actions: Float[Tensor, "B T-1 A"] | None
    ) -> Float[Tensor, "B T-1 A"]:
        """The actions between frames; None stands for those of a model that nobody drives.

        Raises:
            ValueError: the model needs actions, or other ones.
        """
        wanted = (len(frames), frames.shape[1] - 1, self.config.actions)
        if actions is None and self.config.actions == 0:
            return frames.new_zeros(wanted)
        if actions is None or actions.shape != wanted:
            found = "none" if actions is None else tuple(actions.shape)
            raise ValueError(f"the model needs actions of shape {wanted}, got {found}")
        return actions


def _pack(memory: Memory) -> Float[Tensor, "B 2 layers H"]:
    return torch.stack(memory).permute(2, 0, 1, 3)


def _unpack(packed: Float[Tensor, "B 2 layers H"]) -> Memory:
    hidden, cell = packed.permute(1, 2, 0, 3).contiguous()
    return hidden, cell
