"""LSTM_cond, LSTM_key and LSTM_inf of the paper: keyframes are discovered by attention (section 3.1)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from world_models.keyin.config import KeyInConfig
from world_models.keyin.discovery.soft_loss import advance
from world_models.keyin.predictor import LAYERS, Keyframes, State
from world_models.layers import Gaussian, reparameterise
from world_models.losses import gaussian_kl


class AttentionInference(nn.Module):
    """LSTM_inf: keys and values of all frames, and q(z^t) by attention to them (eq. 1, 2).

    As in the authors' code it goes through the sequence backwards: an entry knows what follows its frame.
    """

    def __init__(self, config: KeyInConfig) -> None:
        super().__init__()
        self.lstm = nn.LSTM(config.embedding, config.hidden, LAYERS, batch_first=True)
        self.keys = nn.Linear(config.hidden, config.embedding)
        self.values = nn.Linear(config.hidden, 2 * config.latent)
        if config.location:
            self.location = nn.Parameter(torch.tensor(5.0))

    def forward(
        self, frames: Float[Tensor, "B J F"]
    ) -> tuple[Float[Tensor, "B J F"], Float[Tensor, "B J V"]]:
        """Keys and values (V = 2 Z numbers) of the frames at the times 0..N."""
        backwards, _ = self.lstm(frames.flip(1))
        seen = backwards.flip(1)
        return self.keys(seen).float(), self.values(seen).float()

    def attend(
        self,
        query: Float[Tensor, "B F"],
        keys: Float[Tensor, "B J F"],
        values: Float[Tensor, "B J V"],
        times: Float[Tensor, "B J"],
    ) -> Gaussian:
        """Mean and log variance: values weighted by ``a_j = exp <query, key_j>``.

        Args:
            query: the keyframe before.
            keys: of every frame.
            values: of every frame.
            times: how likely the keyframe before is at each of the times (``tau^(t-1)``); with the model's
                ``location`` it is added to the scores, times a learned number.
        """
        scores = (keys @ query[..., None].float()).squeeze(-1)
        if hasattr(self, "location"):
            scores = scores + self.location * times
        mean, log_variance = (torch.softmax(scores, dim=-1)[:, None] @ values).squeeze(1).chunk(2, dim=-1)
        return mean, log_variance.clamp(-8.0, 4.0)


class PublishedPredictor(nn.Module):
    """``(keyframe t, offset t) = LSTM_key(z^t)``, begun in the last state of LSTM_cond; z^t ~ N(0, I).

    Keyframes are normalised as all embeddings are. The offset's distribution is a softmax over 1..S.
    """

    def __init__(self, config: KeyInConfig) -> None:
        super().__init__()
        self.latent = config.latent
        self.context = config.context
        self.frames = config.frames
        self.conditioning = nn.LSTM(config.embedding, config.hidden, LAYERS, batch_first=True)
        self.enter = nn.Linear(config.latent, config.hidden)
        self.lstm = nn.LSTM(config.hidden, config.hidden, LAYERS, batch_first=True)
        self.keyframe = nn.Linear(config.hidden, config.embedding)
        self.offset = nn.Linear(config.hidden, config.max_offset)
        self.norm = nn.LayerNorm(config.embedding, elementwise_affine=False)
        self.inference = AttentionInference(config)

    def initial(self, context: Float[Tensor, "B T F"]) -> State:
        """State of LSTM_key after the context frames."""
        _, state = self.conditioning(context)
        return state

    def step(
        self, state: State, latent: Float[Tensor, "B Z"]
    ) -> tuple[State, Float[Tensor, "B F"], Float[Tensor, "B S"]]:
        """New state, the embedding of the next keyframe, and the logits of its offset."""
        output, state = self.lstm(self.enter(latent)[:, None], state)
        return state, self.norm(self.keyframe(output[:, 0]).float()), self.offset(output[:, 0]).float()

    def sample(
        self, state: State, first: Float[Tensor, "B F"], noise: Float[Tensor, "B L Z"]
    ) -> tuple[Float[Tensor, "B L F"], Float[Tensor, "B L S"]]:
        """Keyframes and offset logits of the prior: latents are the noise, the state knows ``first``."""
        embeddings, logits = [], []
        for latent in noise.unbind(1):
            state, keyframe, offset = self.step(state, latent)
            embeddings.append(keyframe)
            logits.append(offset)
        return torch.stack(embeddings, dim=1), torch.stack(logits, dim=1)

    def infer(self, frames: Float[Tensor, "B frames F"], noise: Float[Tensor, "B M Z"]) -> Keyframes:
        """Keyframes of known sequences (T context frames, then N), with decisions from the posterior.

        Where they are, the model finds itself: the query of step t is the keyframe that it predicted before.
        """
        state = self.initial(frames[:, : self.context])
        known = frames[:, self.context - 1 :]
        keys, values = self.inference(known)
        previous = known[:, 0]
        times = torch.zeros(known.shape[:2], device=frames.device)
        times[:, 0] = 1.0
        standard = (torch.zeros_like(noise[:, 0]), torch.zeros_like(noise[:, 0]))
        embeddings, logits, divergences = [], [], []
        for eps in noise.unbind(1):
            posterior = self.inference.attend(previous, keys, values, times)
            divergences.append(gaussian_kl(posterior, standard))
            state, previous, offset = self.step(state, reparameterise(posterior, eps))
            times = advance(times, torch.softmax(offset, dim=-1))
            embeddings.append(previous)
            logits.append(offset)
        return Keyframes(*(torch.stack(parts, dim=1) for parts in (embeddings, logits, divergences)))
