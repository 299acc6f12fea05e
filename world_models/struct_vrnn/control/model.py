"""A latent state that is good for control: what follows from it, what is paid, what to do, what it is worth.

Method: Hansen, Su and Wang 2024, *TD-MPC2: Scalable, Robust World Models for Continuous Control*, in place of
their encoder of pictures the keypoints of a frozen Struct-VRNN.
"""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from world_models.checkpoint import load_model
from world_models.hub.repository import FromHub
from world_models.struct_vrnn.control.config import GROUP, ControlConfig
from world_models.struct_vrnn.control.networks import Ensemble, network, simplices

FARTHEST = 5.0
"""Scaled inputs are clamped at it: what was never seen moves the latent no farther."""
SMALLEST = 1e-2
"""Inputs that vary less are not blown up to full size."""


class Control(FromHub, nn.Module):
    """Encoder, latent dynamics, reward, value heads and policy.

    Inside, rewards are shares of the largest and values are scaled by 1 - discount, so that both lie in 0..1.
    """

    def __init__(self, config: ControlConfig) -> None:
        super().__init__()
        self.config = config
        width, both = config.width, config.latent + config.actions
        self.encoder = network(config.inputs, width, 1, config.latent)
        self.dynamics = network(both, width, 2, config.latent)
        self.policy = network(config.latent, width, 2, config.actions)
        self.reward = Ensemble(1, both, width, config.bins)
        self.critics = Ensemble(config.critics, both, width, config.bins)
        self.register_buffer("input_mean", torch.zeros(config.inputs))
        self.register_buffer("input_scale", torch.ones(config.inputs))
        self.register_buffer("bins", torch.linspace(0, 1, config.bins).square(), persistent=False)
        self.input_mean: Tensor
        self.input_scale: Tensor
        self.bins: Tensor

    @classmethod
    def load(cls, folder: Path, device: torch.device | str = "cpu") -> "Control":
        """The model of a folder, ready for use.

        Raises:
            CheckpointError: the folder is missing, incomplete, tampered with or of another kind.
        """
        return load_model(folder, cls, ControlConfig, device)

    @torch.no_grad()
    def set_scales(self, inputs: Float[Tensor, "n F"]) -> None:
        """Take means and spreads from the training data, rounded as they will be stored."""
        self.input_mean.copy_(inputs.mean(0).half())
        self.input_scale.copy_(inputs.std(0).clamp_min(SMALLEST).half())

    def encode(self, inputs: Float[Tensor, "B F"]) -> Float[Tensor, "B Z"]:
        """The latent of what is read (:func:`~world_models.struct_vrnn.control.detector.features.stack`)."""
        scaled = ((inputs - self.input_mean) / self.input_scale).clamp(-FARTHEST, FARTHEST)
        return simplices(self.encoder(scaled), GROUP)

    def step(self, latent: Float[Tensor, "B Z"], action: Float[Tensor, "B A"]) -> Float[Tensor, "B Z"]:
        """The latent that an action leads to."""
        return simplices(self.dynamics(torch.cat([latent, action], -1)), GROUP)

    def act(self, latent: Float[Tensor, "B Z"]) -> Float[Tensor, "B A"]:
        """What the policy does, in [-1, 1]."""
        return torch.tanh(self.policy(latent).float())

    def expect(self, logits: Float[Tensor, "*B bins"]) -> Float[Tensor, "*B"]:
        """The mean of a distribution over the bins."""
        return (torch.softmax(logits.float(), -1) * self.bins).sum(-1)

    def pays(self, latent: Float[Tensor, "B Z"], action: Float[Tensor, "B A"]) -> Float[Tensor, " B"]:
        """The reward of an action, in the task's unit."""
        return self.expect(self.reward(torch.cat([latent, action], -1))[0]) * self.config.most_reward

    def value(self, latent: Float[Tensor, "B Z"]) -> Float[Tensor, " B"]:
        """Discounted sum of the policy's rewards from here on, in the task's unit: mean of the heads."""
        found = self.expect(self.critics(torch.cat([latent, self.act(latent)], -1))).mean(0)
        return found * self.config.most_reward / (1 - self.config.discount)

    def roll_out(
        self, latent: Float[Tensor, "B Z"], actions: Float[Tensor, "B L A"]
    ) -> tuple[Float[Tensor, "B L"], Float[Tensor, "B L Z"]]:
        """Reward of every action, in the task's unit, and the latent that it leads to."""
        latents = [latent]
        for action in actions.unbind(1):
            latents.append(self.step(latents[-1], action))
        before = torch.stack(latents[:-1], 1)
        rewards = self.pays(before.flatten(0, 1), actions.flatten(0, 1)).unflatten(0, actions.shape[:2])
        return rewards, torch.stack(latents[1:], 1)

    def propose(self, latent: Float[Tensor, "B Z"], noise: Float[Tensor, "B L A"]) -> Float[Tensor, "B L A"]:
        """What the policy does in the latents that it leads to; ``noise`` is added to its actions."""
        actions = list[Tensor]()
        for disturbance in noise.unbind(1):
            if actions:
                latent = self.step(latent, actions[-1])
            actions.append((self.act(latent) + disturbance).clamp(-1.0, 1.0))
        return torch.stack(actions, 1)
