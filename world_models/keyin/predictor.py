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
COUNT_SCALE = 5.0
"""How many keyframes are left is one number of this size among zeros, half as long as an embedding: as a
plain 1 it is lost among the others, and plans of few keyframes begin like those of many.
"""


def _past(config: KeyInConfig) -> int:
    """Size of what a decision is made from: state, previous keyframe, and how many keyframes are left."""
    return config.hidden + config.embedding + (config.keyframes if config.countdown else 0)


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
        inputs = _past(config) + config.embedding + config.max_offset
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
    the previous *predicted* keyframe; with ``countdown`` also how many keyframes are left, this one included.
    """

    def __init__(self, config: KeyInConfig) -> None:
        super().__init__()
        past = _past(config)
        self.latent = config.latent
        self.keyframes = config.keyframes
        self.countdown = config.countdown
        self.max_offset = config.max_offset
        self.learned_prior = config.prior == "learned"
        self.context = config.context
        self.conditioning = nn.LSTM(config.embedding, config.hidden, LAYERS, batch_first=True)
        told = past - config.hidden + config.latent
        self.lstm = nn.LSTM(told, config.hidden, LAYERS, batch_first=True)
        self.posterior = Posterior(config)
        if self.learned_prior:
            self.prior_head = GaussianHead(past, config.hidden, config.latent, standard=True)
        inputs = past + config.latent
        self.change = mlp(inputs, 2 * config.hidden, config.embedding)
        self.offset = mlp(inputs, config.hidden, config.max_offset)
        self.norm = nn.LayerNorm(config.embedding, elementwise_affine=False)
        if config.countdown and config.goal is not None:
            asked = config.embedding + 2 * len(config.goal.objects)
            self.needs = mlp(asked, config.hidden, config.keyframes)

    def initial(self, context: Float[Tensor, "B T F"]) -> State:
        """State of LSTM_key after the context frames."""
        _, state = self.conditioning(context)
        return state

    def left(self, count: Int[Tensor, " B"]) -> Float[Tensor, "B K"]:
        """How many keyframes are left, as it is told: one-hot, none at all (K = 0) without ``countdown``."""
        if not self.countdown:
            return count.new_zeros(len(count), 0, dtype=torch.float32)
        return COUNT_SCALE * functional.one_hot(count.clamp(1, self.keyframes) - 1, self.keyframes).float()

    def prior(self, past: Float[Tensor, "B P"]) -> Gaussian:
        """p(z^t | past): N(0, I), or learned."""
        if self.learned_prior:
            return self.prior_head(past)
        zeros = past.new_zeros(len(past), self.latent)
        return zeros, zeros

    def past(
        self, state: State, previous: Float[Tensor, "B F"], left: Float[Tensor, "B K"]
    ) -> Float[Tensor, "B P"]:
        """What the next decision is made from."""
        return torch.cat([state[0][-1], previous, left], dim=-1)

    def step(
        self,
        state: State,
        previous: Float[Tensor, "B F"],
        left: Float[Tensor, "B K"],
        latent: Float[Tensor, "B Z"],
    ) -> tuple[State, Float[Tensor, "B F"], Float[Tensor, "B S"]]:
        """From keyframe t-1 to keyframe t: new state, its embedding, the logits of its offset."""
        output, state = self.lstm(torch.cat([previous, left, latent], dim=-1)[:, None], state)
        features = torch.cat([output[:, 0], previous, left, latent], dim=-1)
        return state, self.norm((previous + self.change(features)).float()), self.offset(features).float()

    def sample(
        self, state: State, first: Float[Tensor, "B F"], noise: Float[Tensor, "B L Z"]
    ) -> tuple[Float[Tensor, "B L F"], Float[Tensor, "B L S"]]:
        """Keyframes and offset logits of the prior, where ``noise`` ~ N(0, I) makes the decisions."""
        keyframe, embeddings, logits = first, [], []
        count = torch.full((len(first),), noise.shape[1], device=first.device)
        for index, eps in enumerate(noise.unbind(1)):
            left = self.left(count - index)
            latent = reparameterise(self.prior(self.past(state, keyframe, left)), eps)
            state, keyframe, offset = self.step(state, keyframe, left, latent)
            embeddings.append(keyframe)
            logits.append(offset)
        return torch.stack(embeddings, dim=1), torch.stack(logits, dim=1)

    def infer(
        self, frames: Float[Tensor, "B frames F"], offsets: Int[Tensor, "B M"], noise: Float[Tensor, "B M Z"]
    ) -> Keyframes:
        """Keyframes of known sequences (T context frames, then up to N), with decisions from the posterior.

        ``offsets`` (1..S, 0 where a keyframe is not used) say which frames are the keyframes.
        """
        previous = frames[:, self.context - 1]
        state = self.initial(frames[:, : self.context])
        times = (self.context - 1 + offsets.cumsum(-1)).clamp(max=frames.shape[1] - 1)
        targets = frames.gather(1, times[..., None].expand(-1, -1, frames.shape[-1]))
        count = (offsets > 0).sum(-1)
        chosen = functional.one_hot(offsets, self.max_offset + 1)[..., 1:].to(frames.dtype)
        embeddings, logits, divergences = [], [], []
        for index, eps in enumerate(noise.unbind(1)):
            left = self.left(count - index)
            past = self.past(state, previous, left)
            posterior = self.posterior(past, targets[:, index], chosen[:, index])
            divergences.append(gaussian_kl(posterior, self.prior(past)))
            state, previous, offset = self.step(state, previous, left, reparameterise(posterior, eps))
            embeddings.append(previous)
            logits.append(offset)
        stack = [torch.stack(parts, dim=1) for parts in (embeddings, logits, divergences)]
        return Keyframes(*stack)
