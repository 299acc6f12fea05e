"""LSTM_key and its inference: which keyframes come next, and when (section 3.1)."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from world_models.keyin.config import KeyInConfig
from world_models.layers import Gaussian, GaussianHead, mlp, reparameterise
from world_models.losses import gaussian_kl

State = tuple[Float[Tensor, "layers B H"], Float[Tensor, "layers B H"]]

LAYERS = 2


@dataclass(frozen=True)
class Keyframes:
    """Keyframes of a batch of sequences: embeddings, logits of their offsets (1..S), and KL in nats."""

    embeddings: Float[Tensor, "B M F"]
    offset_logits: Float[Tensor, "B M S"]
    kl: Float[Tensor, "B M"]


class Posterior(nn.Module):
    """q(z^t | past, keyframe t and its offset).

    LSTM_inf of the paper attends to the frame that is to become the next keyframe (eq. 1). Here that frame is
    found by dynamic programming (:meth:`world_models.keyin.model.KeyIn.segment`) and given.
    """

    def __init__(self, config: KeyInConfig) -> None:
        super().__init__()
        inputs = config.hidden + 2 * config.embedding + config.max_offset
        self.head = GaussianHead(inputs, 2 * config.hidden, config.latent, spread=-2.0)

    def forward(
        self, past: Float[Tensor, "B P"], keyframe: Float[Tensor, "B F"], offset: Float[Tensor, "B S"]
    ) -> Gaussian:
        """Distribution of the decision that leads to ``keyframe`` after ``offset`` (one-hot) frames."""
        return self.head(torch.cat([past, keyframe, offset], dim=-1))


class KeyframePredictor(nn.Module):
    """LSTM_cond and LSTM_key with its prior and posterior.

    A keyframe is the previous one plus a change, normalised as all embeddings are: what stays (the wall) is
    carried along, and predictions keep to the sphere on which real embeddings lie. The input of every step is
    the previous *predicted* keyframe.
    """

    def __init__(self, config: KeyInConfig) -> None:
        super().__init__()
        past = config.hidden + config.embedding
        self.latent = config.latent
        self.max_offset = config.max_offset
        self.learned_prior = config.prior == "learned"
        self.context = config.context
        self.conditioning = nn.LSTM(config.embedding, config.hidden, LAYERS, batch_first=True)
        self.lstm = nn.LSTM(config.embedding + config.latent, config.hidden, LAYERS, batch_first=True)
        self.posterior = Posterior(config)
        if self.learned_prior:
            self.prior_head = GaussianHead(past, config.hidden, config.latent, standard=True)
        inputs = past + config.latent
        self.change = mlp(inputs, 2 * config.hidden, config.embedding)
        self.offset = mlp(inputs, config.hidden, config.max_offset)
        self.norm = nn.LayerNorm(config.embedding, elementwise_affine=False)

    def initial(self, context: Float[Tensor, "B T F"]) -> State:
        """State of LSTM_key after the context frames."""
        _, state = self.conditioning(context)
        return state

    def prior(self, state: State, previous: Float[Tensor, "B F"]) -> Gaussian:
        """p(z^t | past): N(0, I), or learned."""
        if self.learned_prior:
            return self.prior_head(torch.cat([state[0][-1], previous], dim=-1))
        zeros = previous.new_zeros(len(previous), self.latent)
        return zeros, zeros

    def step(
        self, state: State, previous: Float[Tensor, "B F"], latent: Float[Tensor, "B Z"]
    ) -> tuple[State, Float[Tensor, "B F"], Float[Tensor, "B S"]]:
        """From keyframe t-1 to keyframe t: new state, its embedding, the logits of its offset."""
        output, state = self.lstm(torch.cat([previous, latent], dim=-1)[:, None], state)
        features = torch.cat([output[:, 0], previous, latent], dim=-1)
        return state, self.norm((previous + self.change(features)).float()), self.offset(features).float()

    def sample(
        self, state: State, first: Float[Tensor, "B F"], noise: Float[Tensor, "B L Z"]
    ) -> tuple[Float[Tensor, "B L F"], Float[Tensor, "B L S"]]:
        """Keyframes and offset logits of the prior, where ``noise`` ~ N(0, I) makes the decisions."""
        keyframe, embeddings, logits = first, [], []
        for eps in noise.unbind(1):
            latent = reparameterise(self.prior(state, keyframe), eps)
            state, keyframe, offset = self.step(state, keyframe, latent)
            embeddings.append(keyframe)
            logits.append(offset)
        return torch.stack(embeddings, dim=1), torch.stack(logits, dim=1)

    def infer(
        self, frames: Float[Tensor, "B frames F"], offsets: Int[Tensor, "B M"], noise: Float[Tensor, "B M Z"]
    ) -> Keyframes:
        """Keyframes of known sequences (T context frames, then N), with decisions from the posterior.

        ``offsets`` (1..S, 0 where a keyframe is not used) say which frames are the keyframes.
        """
        previous = frames[:, self.context - 1]
        state = self.initial(frames[:, : self.context])
        times = (self.context - 1 + offsets.cumsum(-1)).clamp(max=frames.shape[1] - 1)
        targets = frames.gather(1, times[..., None].expand(-1, -1, frames.shape[-1]))
        chosen = functional.one_hot(offsets, self.max_offset + 1)[..., 1:].to(frames.dtype)
        embeddings, logits, divergences = [], [], []
        for index, eps in enumerate(noise.unbind(1)):
            past = torch.cat([state[0][-1], previous], dim=-1)
            posterior = self.posterior(past, targets[:, index], chosen[:, index])
            divergences.append(gaussian_kl(posterior, self.prior(state, previous)))
            state, previous, offset = self.step(state, previous, reparameterise(posterior, eps))
            embeddings.append(previous)
            logits.append(offset)
        stack = [torch.stack(parts, dim=1) for parts in (embeddings, logits, divergences)]
        return Keyframes(*stack)
