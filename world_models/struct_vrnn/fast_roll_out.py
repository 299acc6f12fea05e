"""Following many candidate actions fast, for planning.

The equations are those of :meth:`KeypointDynamics.imagine` and :meth:`RewardHead.forward`; what shares an
input is one matrix product, weights are brought into the number format of the products once and not at every
step, and work whose result nobody asks for is left out: the spread of the prior and, where states are not
wanted, the recurrence after the last frame. Published models have other equations and go the slow way.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import gelu, linear

from world_models.struct_vrnn.dynamics import Belief, KeypointDynamics, Rollout
from world_models.struct_vrnn.rewards.head import RewardHead

Layer = tuple[Tensor, Tensor]
"""Weights and bias of a linear layer."""


def foresee(
    dynamics: KeypointDynamics, belief: Belief, actions: Float[Tensor, "B L P"]
) -> Float[Tensor, "B L F"]:
    """Features that padded actions lead to, with prior means: those of ``imagine`` up to rounding."""
    if dynamics.config.published:
        return dynamics.imagine(belief, actions).features
    features, _ = _follow(dynamics, belief, actions, actions.shape[1] - 1)
    return torch.stack(features, 1)


def foresee_states(dynamics: KeypointDynamics, belief: Belief, actions: Float[Tensor, "B L P"]) -> Rollout:
    """:func:`foresee` with the recurrent states after every frame, the last one too, for reward heads."""
    if dynamics.config.published:
        return dynamics.imagine(belief, actions)
    frames, states = _follow(dynamics, belief, actions, actions.shape[1])
    features, hidden = torch.stack(frames, 1), torch.stack(states, 1)
    return Rollout(features, hidden, torch.cat([hidden, features], -1))


def foresee_rewards(
    head: RewardHead, carried: Float[Tensor, "B L H"], memory: Float[Tensor, "B 2 W"]
) -> Float[Tensor, "B L"]:
    """Rewards on arriving at imagined frames: those of the head up to rounding, in the autocast format.

    Args:
        head: the head of the task.
        carried: :attr:`Rollout.carried` of the imagined frames.
        memory: what the head answered for the seen ones.
    """
    # Scaled in full precision: some numbers vary a thousandth of what they are.
    inputs = ((carried.float() - head.input_mean) / head.input_scale).transpose(0, 1)
    found = linear(inputs, *_layer(head.first)).relu()
    found = _recur(head.lower, found, memory[:, 0]).relu()
    found = _recur(head.upper, found, memory[:, 1]).relu()
    rewards = linear(found, *_layer(head.last))[..., 0].t().float()
    return head.reward_mean + head.reward_scale * rewards


def _follow(
    dynamics: KeypointDynamics, belief: Belief, actions: Float[Tensor, "B L P"], advances: int
) -> tuple[list[Float[Tensor, "B F"]], list[Float[Tensor, "B H"]]]:
    """Features of every frame, and the recurrent states after the first ``advances`` of them."""
    heads, gates = _Heads.of(dynamics), _Gates.of(dynamics.gru)
    hidden, features = belief.hidden, belief.features
    frames, states = list[Tensor](), list[Tensor]()
    for t in range(actions.shape[1]):
        latent, change = heads.predict(torch.cat([hidden, features, actions[:, t]], -1))
        features = features + change
        frames.append(features)
        if t < advances:
            hidden = gates.advance(hidden, torch.cat([features, latent, actions[:, t]], -1))
            states.append(hidden)
    return frames, states


def _recur(
    gru: nn.GRU, inputs: Float[Tensor, "L B W"], hidden: Float[Tensor, "B W"]
) -> Float[Tensor, "L B W"]:
    """States of a GRU after every input; the products with all inputs are one."""
    two = 2 * gru.hidden_size
    (weight_ih, weight_hh, bias_ih, bias_hh), *_ = gru.all_weights
    state, states = _cast(weight_hh, bias_hh), list[Tensor]()
    for taken in linear(inputs, *_cast(weight_ih, bias_ih)):
        known = linear(hidden, *state)
        reset, update = (taken[:, :two] + known[:, :two]).sigmoid_().chunk(2, -1)
        candidate = torch.addcmul(taken[:, two:], reset, known[:, two:]).tanh_()
        hidden = torch.lerp(candidate, hidden.to(candidate), update)
        states.append(hidden)
    return torch.stack(states)


def _cast(weight: Tensor, bias: Tensor) -> Layer:
    """The layer in the format that autocast would bring it into at every use."""
    device = weight.device.type
    if not torch.is_autocast_enabled(device):
        return weight, bias
    dtype = torch.get_autocast_dtype(device)
    return weight.to(dtype), bias.to(dtype)


def _layer(layer: nn.Module) -> Layer:
    assert isinstance(layer, nn.Linear)
    return _cast(layer.weight, layer.bias)


@dataclass(frozen=True)
class _Heads:
    """The weights of prior and decoder; without a prior there is no latent."""

    first: Layer
    """What both make of all that is known but the latent, the prior in front."""
    mean: Layer | None
    """The prior's last layer, of whose two results only the mean is wanted."""
    told: Tensor
    """What the decoder makes of the latent: the transposed weights."""
    last: Layer
    """The decoder's last layer."""

    @classmethod
    def of(cls, dynamics: KeypointDynamics) -> "_Heads":
        """Those of the dynamics."""
        first, last = _layer(dynamics.decoder[0]), _layer(dynamics.decoder[-1])
        if not dynamics.config.stochastic:
            return cls(first, None, first[0].new_zeros(0), last)
        weight, bias = _layer(dynamics.prior_head.net[0])
        known, latents = weight.shape[1], dynamics.config.latent
        both = torch.cat([weight, first[0][:, :known]]), torch.cat([bias, first[1]])
        mean, offset = _layer(dynamics.prior_head.net[-1])
        return cls(both, (mean[:latents], offset[:latents]), first[0][:, known:].t(), last)

    def predict(self, known: Float[Tensor, "B U"]) -> tuple[Float[Tensor, "B Z"], Float[Tensor, "B F"]]:
        """The prior's mean, and the change of the features that it is decoded to (eq. 1 and 3)."""
        units = linear(known, *self.first)
        if self.mean is None:
            return units.new_zeros(len(units), 0), linear(gelu(units), *self.last).float()
        width = self.told.shape[1]
        prior, decoder = units.split([units.shape[1] - width, width], -1)
        mean = linear(gelu(prior), *self.mean)
        decoder = torch.addmm(decoder, mean, self.told)
        return mean.float(), linear(gelu(decoder), *self.last).float()


@dataclass(frozen=True)
class _Gates:
    """The weights of a GRU: reset and update gates read input and state at once, the candidate does not."""

    both: Layer
    input: Layer
    state: Layer

    @classmethod
    def of(cls, gru: nn.GRUCell) -> "_Gates":
        """Those of the cell; torch orders them reset, update, candidate."""
        two = 2 * gru.hidden_size
        return cls(
            both=_cast(
                torch.cat([gru.weight_ih[:two], gru.weight_hh[:two]], -1),
                gru.bias_ih[:two] + gru.bias_hh[:two],
            ),
            input=_cast(gru.weight_ih[two:], gru.bias_ih[two:]),
            state=_cast(gru.weight_hh[two:], gru.bias_hh[two:]),
        )

    def advance(self, hidden: Float[Tensor, "B H"], taken: Float[Tensor, "B I"]) -> Float[Tensor, "B H"]:
        """The state after the input (eq. 4)."""
        reset, update = linear(torch.cat([taken, hidden], -1), *self.both).sigmoid_().chunk(2, -1)
        candidate = torch.addcmul(linear(taken, *self.input), reset, linear(hidden, *self.state)).tanh_()
        return torch.lerp(candidate.float(), hidden, update.float())
