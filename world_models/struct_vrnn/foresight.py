"""Following many candidate actions fast, for planning.

The equations are those of :meth:`Dynamics.imagine`; what shares an input is one matrix product, and work
whose result nobody asks for is left out: the spread of the prior and the recurrence after the last frame.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import gelu, linear

from world_models.struct_vrnn.dynamics import Belief, Dynamics

Layer = tuple[Tensor, Tensor]
"""Weights and bias of a linear layer."""


def foresee(dynamics: Dynamics, belief: Belief, actions: Float[Tensor, "B L 2A"]) -> Float[Tensor, "B L F"]:
    """Features that padded actions lead to, with prior means: those of ``imagine`` up to rounding."""
    gates, told = _Gates.of(dynamics.gru), _first_layer(dynamics)
    hidden, features = belief.hidden, belief.features
    latent = features.new_zeros(len(features), 0)
    frames = list[Tensor]()
    for t in range(actions.shape[1]):
        if frames:
            hidden = gates.advance(hidden, torch.cat([features, latent, actions[:, t - 1]], -1))
        known = torch.cat([hidden, features, actions[:, t]], -1)
        latent, change = _predict(dynamics, linear(known, *told))
        features = features + change
        frames.append(features)
    return torch.stack(frames, 1)


def _first_layer(dynamics: Dynamics) -> Layer:
    """What prior and decoder make of all that is known but the latent, in this order."""
    decoder = _linear(dynamics.decoder, 0)
    if not dynamics.config.stochastic:
        return decoder.weight, decoder.bias
    prior = _linear(dynamics.prior_head.net, 0)
    weights = torch.cat([prior.weight, decoder.weight[:, : prior.in_features]])
    return weights, torch.cat([prior.bias, decoder.bias])


def _predict(
    dynamics: Dynamics, units: Float[Tensor, "B U"]
) -> tuple[Float[Tensor, "B Z"], Float[Tensor, "B F"]]:
    """The prior's mean, and the change of the features that it is decoded to (eq. 1 and 3)."""
    first, last = _linear(dynamics.decoder, 0), _linear(dynamics.decoder, -1)
    if not dynamics.config.stochastic:
        return units.new_zeros(len(units), 0), last(gelu(units)).float()
    latents = dynamics.config.latent
    prior, decoder = units.split([dynamics.config.prior_width, first.out_features], -1)
    head = _linear(dynamics.prior_head.net, -1)
    mean = linear(gelu(prior), head.weight[:latents], head.bias[:latents]).float()
    decoder = torch.addmm(decoder, mean, first.weight[:, -latents:].t())
    return mean, last(gelu(decoder)).float()


def _linear(layers: nn.Sequential, index: int) -> nn.Linear:
    layer = layers[index]
    assert isinstance(layer, nn.Linear)
    return layer


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
            both=(
                torch.cat([gru.weight_ih[:two], gru.weight_hh[:two]], -1),
                gru.bias_ih[:two] + gru.bias_hh[:two],
            ),
            input=(gru.weight_ih[two:], gru.bias_ih[two:]),
            state=(gru.weight_hh[two:], gru.bias_hh[two:]),
        )

    def advance(self, hidden: Float[Tensor, "B H"], taken: Float[Tensor, "B I"]) -> Float[Tensor, "B H"]:
        """The state after the input (eq. 4)."""
        reset, update = linear(torch.cat([taken, hidden], -1), *self.both).sigmoid_().chunk(2, -1)
        candidate = torch.addcmul(linear(taken, *self.input), reset, linear(hidden, *self.state)).tanh_()
        return torch.lerp(candidate.float(), hidden, update.float())
