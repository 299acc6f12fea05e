"""What a control model learns from: windows of recorded episodes.

Four losses as in TD-MPC2 (Hansen et al. 2024, section 3.1): the latent that is rolled out has to agree with
the encoded one, its rewards and values with the recorded ones and with what target networks make of the rest,
and the policy has to do what is worth most.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional

from world_models.losses import Loss
from world_models.struct_vrnn.control.learner import Learner
from world_models.struct_vrnn.control.model import Control
from world_models.struct_vrnn.control.recipe import ControlRecipe

LARGEST_NOISE = 0.3
"""Noise of the policy is clamped at it, for targets and for its own loss."""


@dataclass(frozen=True)
class Windows:
    """Parts of episodes, time first: ``rewards[t]`` was received for ``actions[t]``, which led from
    ``inputs[t]`` to ``inputs[t + 1]``. Rewards are shares of the largest.
    """

    inputs: Float[Tensor, "T B F"]
    actions: Float[Tensor, "T-1 B A"]
    rewards: Float[Tensor, "T-1 B"]


def two_hot(values: Float[Tensor, "*B"], bins: Float[Tensor, " bins"]) -> Float[Tensor, "*B bins"]:
    """Distributions over two neighbouring bins whose means are the values, clamped to the bins' range."""
    values = values.clamp(float(bins[0]), float(bins[-1]))
    upper = torch.searchsorted(bins, values.contiguous(), right=True).clamp(1, len(bins) - 1)
    low, high = bins[upper - 1], bins[upper]
    share = ((values - low) / (high - low))[..., None]
    spread = torch.zeros(*values.shape, len(bins), device=values.device)
    spread.scatter_(-1, upper[..., None] - 1, 1 - share)
    return spread.scatter_(-1, upper[..., None], share)


def cross_entropy(logits: Float[Tensor, "*H bins"], target: Float[Tensor, "*B bins"]) -> Float[Tensor, "*H"]:
    """Nats; targets are the same for all heads."""
    return -(target * torch.log_softmax(logits.float(), -1)).sum(-1)


def explore(
    actions: Float[Tensor, "*B A"], noise: float, generator: torch.Generator
) -> Float[Tensor, "*B A"]:
    """Actions with noise of this standard deviation, clamped like the noise itself."""
    drawn = torch.randn(actions.shape, generator=generator).to(actions.device)
    return (actions + (noise * drawn).clamp(-LARGEST_NOISE, LARGEST_NOISE)).clamp(-1.0, 1.0)


@torch.no_grad()
def returns(
    learner: Learner,
    latents: Float[Tensor, "H B Z"],
    rewards: Float[Tensor, "L B"],
    steps: int,
    noise: float,
    generator: torch.Generator,
) -> Float[Tensor, "H B"]:
    """Targets of values: ``steps`` recorded rewards, then the least that target networks expect of the
    latents that these led to, ``latents[t]`` at step ``t + steps``; scaled by 1 - discount.
    """
    model, rolled = learner.model, len(latents)
    actions = explore(model.act(latents.flatten(0, 1)), noise, generator)
    ahead = model.expect(learner.targets(torch.cat([latents.flatten(0, 1), actions], -1))).amin(0)
    discount, found = model.config.discount, torch.zeros_like(rewards[:rolled])
    for k in range(steps):
        found = found + (1 - discount) * discount**k * rewards[k : k + rolled]
    return found + discount**steps * ahead.unflatten(0, (rolled, -1))


def policy_worth(
    model: Control, latents: Float[Tensor, "n Z"], noise: float, generator: torch.Generator
) -> Float[Tensor, " n"]:
    """What the value heads, as they are, say of the policy's actions: mean of the heads, in 0..1."""
    actions = explore(model.act(latents), noise, generator)
    fixed = {name: value.detach() for name, value in model.critics.named_parameters()}
    logits = functional_call(model.critics, fixed, (torch.cat([latents, actions], -1),))
    return model.expect(logits).mean(0)


def control_loss(
    learner: Learner, windows: Windows, recipe: ControlRecipe, noise: float, generator: torch.Generator
) -> Loss:
    """All four, and the spread of values brought up to date. ``noise`` is that of the policy."""
    model, rolled, steps = learner.model, recipe.rolled, recipe.returned
    batch = windows.rewards.shape[1]
    with torch.no_grad():
        seen = model.encode(windows.inputs[1:].flatten(0, 1)).unflatten(0, (-1, batch))
    target = returns(learner, seen[steps - 1 : steps - 1 + rolled], windows.rewards, steps, noise, generator)
    latents = [model.encode(windows.inputs[0])]
    for action in windows.actions[:rolled]:
        latents.append(model.step(latents[-1], action))
    path = torch.stack(latents)
    fading = recipe.fading ** torch.arange(rolled + 1.0, device=path.device)
    weights = fading[:rolled] / rolled
    told = torch.cat([path[:-1], windows.actions[:rolled]], -1).flatten(0, 1)
    rewards = cross_entropy(model.reward(told), two_hot(windows.rewards[:rolled].flatten(), model.bins))
    values = cross_entropy(model.critics(told), two_hot(target.flatten(), model.bins))
    worth = policy_worth(model, path.detach().flatten(0, 1), noise, generator).unflatten(0, (-1, batch))
    apart = functional.mse_loss(path[1:], seen[:rolled], reduction="none").mean((1, 2))
    parts = {
        "consistency": (apart * weights).sum(),
        "reward": (rewards.unflatten(-1, (rolled, batch)).mean((0, 2)) * weights).sum(),
        "value": (values.unflatten(-1, (rolled, batch)).mean((0, 2)) * weights).sum(),
        "policy": -(worth.mean(1) * fading).mean() / learner.spread.clone(),
    }
    total = (
        recipe.consistency * parts["consistency"]
        + recipe.reward * parts["reward"]
        + recipe.value * parts["value"]
        + recipe.policy * parts["policy"]
    )
    learner.note_spread(worth[0].detach())
    return Loss(total, {**parts, "worth": worth.detach().mean()})
