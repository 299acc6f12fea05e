"""LSTM_key and LSTM_inf: which keyframes come next, and when (section 3.1)."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from world_models.keyin.config import KeyInConfig
from world_models.keyin.soft_loss import advance
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
    """LSTM_inf: sees the whole sequence and attends to the part that matters for the next keyframe.

    Keys and values come from a bidirectional LSTM over frames and their changes. To the inner product of
    eq. 1 a location term is added: the probability that the previous keyframe was there, with a learned
    weight. The paper has content only, which rarely finds the place.
    """

    def __init__(self, config: KeyInConfig) -> None:
        super().__init__()
        context = config.hidden + config.embedding
        self.context = config.context
        self.lstm = nn.LSTM(2 * config.embedding, config.hidden, batch_first=True, bidirectional=True)
        self.key = nn.Linear(2 * config.hidden, config.hidden)
        self.query = nn.Linear(context, config.hidden)
        self.location = nn.Parameter(torch.tensor(6.0))
        self.head = GaussianHead(2 * config.hidden + context, config.hidden, config.latent, spread=-2.0)

    def read(
        self, frames: Float[Tensor, "B T+N F"]
    ) -> tuple[Float[Tensor, "B N+1 K"], Float[Tensor, "B N+1 V"]]:
        """Keys and values of the last context frame and every later one."""
        changes = frames.diff(dim=1, prepend=frames[:, :1])
        values, _ = self.lstm(torch.cat([frames, changes], dim=-1))
        values = values[:, self.context - 1 :]
        return self.key(values), values

    def forward(
        self,
        memory: tuple[Float[Tensor, "B N+1 K"], Float[Tensor, "B N+1 V"]],
        past: Float[Tensor, "B P"],
        location: Float[Tensor, "B N+1"],
    ) -> Gaussian:
        """Distribution of the next decision, given the past and where the previous keyframe was."""
        keys, values = memory
        content = torch.einsum("bk,btk->bt", self.query(past), keys) / keys.shape[-1] ** 0.5
        attention = torch.softmax(content.float() + self.location * location, dim=-1)
        seen = torch.einsum("bt,btv->bv", attention, values.float())
        return self.head(torch.cat([seen, past], dim=-1))


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
        self,
        frames: Float[Tensor, "B T+N F"],
        noise: Float[Tensor, "B M Z"],
        teacher: Float[Tensor, "B M S"] | None = None,
    ) -> Keyframes:
        """Keyframes of known sequences (T context frames, then N), with decisions from the posterior.

        ``teacher`` are offset distributions that tell the attention where the previous keyframe was; without
        them it is where the model's own offsets put it.
        """
        context, keyframe = frames[:, : self.context], frames[:, self.context - 1]
        state = self.initial(context)
        memory = self.posterior.read(frames)
        location = torch.zeros_like(memory[0][..., 0], dtype=frames.dtype)
        location[:, 0] = 1.0
        embeddings, logits, divergences = [], [], []
        for index, eps in enumerate(noise.unbind(1)):
            prior = self.prior(state, keyframe)
            posterior = self.posterior(memory, torch.cat([state[0][-1], keyframe], dim=-1), location)
            divergences.append(gaussian_kl(posterior, prior))
            state, keyframe, offset = self.step(state, keyframe, reparameterise(posterior, eps))
            embeddings.append(keyframe)
            logits.append(offset)
            taken = torch.softmax(offset, dim=-1) if teacher is None else teacher[:, index]
            location = advance(location, taken)
        stack = [torch.stack(parts, dim=1) for parts in (embeddings, logits, divergences)]
        return Keyframes(*stack)
