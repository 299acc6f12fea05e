"""The networks of a control model."""

import math
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

LARGEST = 12.0
"""Exponents are clamped at it: their sums stay finite."""


def simplices(values: Float[Tensor, "*B Z"], group: int) -> Float[Tensor, "*B Z"]:
    """Every group of numbers made positive with the sum one (SimNorm, a softmax per group).

    Source: Hansen et al. 2024, *TD-MPC2*, section 3.1.
    """
    shares = values.float().unflatten(-1, (-1, group)).clamp(-LARGEST, LARGEST).exp()
    return (shares / shares.sum(-1, keepdim=True)).flatten(-2)


def network(inputs: int, width: int, layers: int, outputs: int) -> nn.Sequential:
    """``layers`` hidden layers of ``width`` units, each normalised, with rectified linear units."""
    parts = list[nn.Module]()
    for size in (inputs, *[width] * (layers - 1)):
        parts += [_linear(size, width), nn.LayerNorm(width, elementwise_affine=False), nn.ReLU()]
    return nn.Sequential(*parts, _linear(width, outputs))


def _linear(inputs: int, outputs: int) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    nn.init.trunc_normal_(layer.weight, std=1 / math.sqrt(inputs))
    nn.init.zeros_(layer.bias)
    return layer


class Ensemble(nn.Module):
    """Networks of two hidden layers that answer the same question, computed together.

    All begin with an output of zero.
    """

    def __init__(self, members: int, inputs: int, width: int, outputs: int) -> None:
        super().__init__()
        sizes = (inputs, width, width, outputs)
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for before, after in pairwise(sizes):
            weight = torch.empty(members, before, after)
            self.weights.append(nn.init.trunc_normal_(weight, std=1 / math.sqrt(before)))
            self.biases.append(torch.zeros(members, 1, after))
        nn.init.zeros_(self.weights[-1])

    def forward(self, inputs: Float[Tensor, "B I"]) -> Float[Tensor, "members B O"]:
        hidden = inputs.expand(len(self.weights[0]), -1, -1)
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            hidden = torch.baddbmm(bias, hidden, weight)
            hidden = functional.relu(functional.layer_norm(hidden, hidden.shape[-1:]))
        return torch.baddbmm(self.biases[-1], hidden, self.weights[-1])
