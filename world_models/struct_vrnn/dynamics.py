"""How features move: the VRNN over keypoints (section 3.2 and S1.1.2), driven by actions.

The action ``a[t-1]`` that leads to frame ``t`` enters the recurrence, as in S1.1.2, and besides prior,
posterior and decoder of frame ``t``: in the recurrence alone it would not act before frame ``t + 1``.
The decoder answers the change since the frame before.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from world_models.layers import Gaussian, GaussianHead, mlp
from world_models.struct_vrnn.config import StructVRNNConfig


@dataclass(frozen=True)
class Belief:
    """What is known after a frame: the recurrent state and the frame's features as the model has them."""

    hidden: Float[Tensor, "B H"]
    features: Float[Tensor, "B F"]


@dataclass(frozen=True)
class Rollout:
    """Consecutive frames: the features the model has of them and its recurrent state after each."""

    features: Float[Tensor, "B T F"]
    """Of each frame."""
    hidden: Float[Tensor, "B T H"]
    """State of the recurrent network after each frame."""
    carried: Float[Tensor, "B T H+F"]
    """All that is carried on from frame to frame, hidden state and features as the dynamics have them: what
    reward heads read. The hidden state need not remember where things are, since prior, posterior and decoder
    are told the features besides."""

    @property
    def last(self) -> Belief:
        """The belief after the last frame."""
        return Belief(self.hidden[:, -1], self.features[:, -1])


class KeypointDynamics(nn.Module):
    """Prior, posterior, decoder and recurrence. Actions come padded and with their mask: P = 2 A numbers."""

    def __init__(self, config: StructVRNNConfig) -> None:
        super().__init__()
        self.config = config
        features, hidden = config.features, config.hidden
        known = hidden + features + 2 * config.actions
        latent = config.latent if config.stochastic else 0
        if config.stochastic:
            self.prior_head = GaussianHead(known, config.prior_width, latent, standard=True)
            self.posterior_head = GaussianHead(known + features, config.posterior_width, latent, spread=-2.0)
        self.decoder = mlp(known + latent, config.posterior_width, features)
        self.gru = nn.GRUCell(features + latent + 2 * config.actions, hidden)

    def start(self, batch: int, device: torch.device) -> Belief:
        """The belief before the first frame: all zeros."""
        zeros = torch.zeros(batch, self.config.hidden + self.config.features, device=device)
        return Belief(*zeros.split([self.config.hidden, self.config.features], -1))

    def known(self, belief: Belief, action: Float[Tensor, "B P"]) -> Float[Tensor, "B U"]:
        """What prior, posterior and decoder of the next frame are told."""
        return torch.cat([belief.hidden, belief.features, action], -1)

    def prior(self, known: Float[Tensor, "B U"]) -> Gaussian:
        """Latent of the next frame before it is seen (eq. 1)."""
        return self.prior_head(known)

    def posterior(self, known: Float[Tensor, "B U"], features: Float[Tensor, "B F"]) -> Gaussian:
        """Latent of the next frame once its features are seen (eq. 2)."""
        return self.posterior_head(torch.cat([known, features], -1))

    def decode(
        self, belief: Belief, known: Float[Tensor, "B U"], latent: Float[Tensor, "B Z"]
    ) -> Float[Tensor, "B F"]:
        """Features of the next frame (eq. 3)."""
        return self.follow(belief, self.decoder(torch.cat([known, latent], -1)).float())

    def follow(self, belief: Belief, decoded: Float[Tensor, "*N B F"]) -> Float[Tensor, "*N B F"]:
        """Features from what the decoder answers, their change since the frame before."""
        return belief.features + decoded

    def decode_samples(
        self, belief: Belief, known: Float[Tensor, "B U"], latents: Float[Tensor, "N B Z"]
    ) -> Float[Tensor, "N B F"]:
        """:meth:`decode` for many latents of the same belief; what they share is computed once."""
        first, activation, last = self.decoder
        assert isinstance(first, nn.Linear)
        width = known.shape[-1]
        shared = torch.nn.functional.linear(known, first.weight[:, :width], first.bias)
        own = torch.nn.functional.linear(latents, first.weight[:, width:])
        return self.follow(belief, last(activation(shared + own)).float())

    def advance(
        self,
        belief: Belief,
        features: Float[Tensor, "B F"],
        latent: Float[Tensor, "B Z"],
        action: Float[Tensor, "B P"],
    ) -> Belief:
        """Take a frame in (eq. 4 with the action of S1.1.2)."""
        return Belief(self.gru(torch.cat([features, latent, action], -1), belief.hidden).float(), features)

    def observe(
        self,
        features: Float[Tensor, "B T F"],
        actions: Float[Tensor, "B T-1 P"],
        noise: Float[Tensor, "B T Z"] | None = None,
    ) -> Rollout:
        """Take seen frames in, with posterior means or, given ``noise``, samples.

        The recurrence is fed what the model makes of a frame, as in the paper, or the frame's features
        themselves, as the configuration has it.
        """
        belief = self.start(len(features), features.device)
        steps = list[Belief]()
        for t in range(features.shape[1]):
            action = actions[:, t - 1] if t else features.new_zeros(len(features), actions.shape[-1])
            known = self.known(belief, action)
            latent, seen = features.new_zeros(len(features), 0), features[:, t]
            if self.config.stochastic:
                gaussian = self.posterior(known, seen)
                latent = _draw(gaussian, None if noise is None else noise[:, t])
            if not self.config.sees_directly:
                seen = self.decode(belief, known, latent)
            belief = self.advance(belief, seen, latent, action)
            steps.append(belief)
        return _rollout(steps)

    def imagine(
        self,
        belief: Belief,
        actions: Float[Tensor, "B L P"],
        noise: Float[Tensor, "B L Z"] | None = None,
    ) -> Rollout:
        """Follow actions from a belief, with prior means or, given ``noise``, samples."""
        steps = list[Belief]()
        for t in range(actions.shape[1]):
            known = self.known(belief, actions[:, t])
            if self.config.stochastic:
                latent = _draw(self.prior(known), None if noise is None else noise[:, t])
            else:
                latent = known.new_zeros(len(known), 0)
            belief = self.advance(belief, self.decode(belief, known, latent), latent, actions[:, t])
            steps.append(belief)
        return _rollout(steps)


def _draw(gaussian: Gaussian, noise: Float[Tensor, "B Z"] | None) -> Float[Tensor, "B Z"]:
    mean, log_variance = gaussian
    return mean if noise is None else mean + torch.exp(0.5 * log_variance) * noise


def _rollout(steps: list[Belief]) -> Rollout:
    features = torch.stack([step.features for step in steps], 1)
    hidden = torch.stack([step.hidden for step in steps], 1)
    return Rollout(features, hidden, torch.cat([hidden, features], -1))
