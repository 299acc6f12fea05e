"""LSTM_inter of the paper: a sequence-to-sequence VAE of segments (section 3.2)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from world_models.keyin.config import KeyInConfig
from world_models.keyin.predictor import LAYERS
from world_models.layers import Gaussian, mlp, reparameterise


class LSTMInterpolator(nn.Module):
    """The frames that follow a keyframe, given the next keyframe, when it comes, and a latent.

    An MLP of both keyframes and the offset makes LSTM_inter's first state, anew for every segment; the
    latent, whose prior is N(0, I), is the input of every step. Output ``i`` (from 1) is the frame ``i`` steps
    after the first keyframe; beyond the offset it means nothing.
    """

    def __init__(self, config: KeyInConfig) -> None:
        super().__init__()
        self.longest = config.longest_segment
        self.latent = config.latent
        ends = 2 * config.embedding + self.longest
        self.begin = mlp(ends, 2 * config.hidden, 2 * LAYERS * config.hidden)
        self.enter = nn.Linear(config.latent, config.hidden)
        self.lstm = nn.LSTM(config.hidden, config.hidden, LAYERS, batch_first=True)
        self.frame = nn.Linear(config.hidden, config.embedding)
        self.norm = nn.LayerNorm(config.embedding, elementwise_affine=False)
        self.summary = nn.LSTM(config.embedding, config.hidden, batch_first=True)
        self.posterior_head = mlp(config.hidden + ends, config.hidden, 2 * config.latent)

    def forward(
        self,
        start: Float[Tensor, "B F"],
        end: Float[Tensor, "B F"],
        offset: Float[Tensor, "B S"],
        latent: Float[Tensor, "B Z"] | None = None,
    ) -> Float[Tensor, "B S F"]:
        """Frames 1..S after ``start``; ``end`` comes ``offset`` (a distribution over 1..S) frames later.

        ``latent`` is a sample; None stands for the prior's mean.
        """
        chosen = latent if latent is not None else start.new_zeros(len(start), self.latent)
        begin = self.begin(self._ends(start, end, offset)).unflatten(-1, (2, LAYERS, -1))
        hidden, cell = begin.permute(1, 2, 0, 3).contiguous()
        inputs = self.enter(chosen)[:, None].expand(-1, offset.shape[-1], -1)
        output, _ = self.lstm(inputs.contiguous(), (hidden, cell))
        return self.norm(self.frame(output).float())

    def posterior(self, frames: Float[Tensor, "B steps F"], offset: Float[Tensor, "B S"]) -> Gaussian:
        """q(latent | segment): ``frames`` at the steps 0..S, those beyond the offset repeat its end."""
        seen, _ = self.summary(frames)
        ends = self._ends(frames[:, 0], frames[:, -1], offset)
        mean, log_variance = (
            self.posterior_head(torch.cat([seen[:, -1], ends], dim=-1)).float().chunk(2, dim=-1)
        )
        return mean, log_variance.clamp(-8.0, 4.0)

    def reconstruct(
        self, frames: Float[Tensor, "B steps F"], offset: Float[Tensor, "B S"], noise: Float[Tensor, "B Z"]
    ) -> tuple[Float[Tensor, "B S F"], Gaussian]:
        """Frames 1..S with a latent drawn from the posterior, and the posterior."""
        posterior = self.posterior(frames, offset)
        return self(frames[:, 0], frames[:, -1], offset, reparameterise(posterior, noise)), posterior

    def _ends(self, start: Tensor, end: Tensor, offset: Tensor) -> Float[Tensor, "B E"]:
        return torch.cat([start, end, functional.pad(offset, (0, self.longest - offset.shape[-1]))], dim=-1)
