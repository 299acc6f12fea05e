"""A large LSTM for processors: the gradient of its weights is one matrix product over all steps.

Back-propagation as usual adds a product per step to that gradient, which is most of the time for small
batches and a state of 2048. Source: Hochreiter and Schmidhuber 1997 with forget gates; gates in the order
input, forget, candidate, output.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

Cell = tuple[Float[Tensor, "B S"], Float[Tensor, "B S"]]
"""Output h and memory c."""


def advance(
    driven: Float[Tensor, "B gates"], cell: Cell, weight: Float[Tensor, "4*S S"]
) -> tuple[Cell, Float[Tensor, "B 4*S"]]:
    """One step; also answers the gates. ``driven`` is what the input and the bias add to them."""
    output, memory = cell
    i, f, g, o = (driven + output.to(driven.dtype) @ weight.mT).chunk(4, dim=-1)
    i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
    memory = f * memory + i * g
    output = o * memory.tanh()
    return (output, memory), torch.cat([i, f, g, o], dim=-1)


class Recurrence(torch.autograd.Function):
    """``Recurrence.apply(driven [B T 4*S], weight [4*S S])``: outputs ``[B T S]`` from an empty memory.

    Products are made in the type of ``driven``, memories are float32.
    """

    @staticmethod
    def forward(ctx: Any, driven: Tensor, weight: Tensor) -> Tensor:
        """See the class."""
        low = weight.to(driven.dtype)
        cell = (driven.new_zeros(len(driven), low.shape[1], dtype=torch.float32),) * 2
        outputs, memories, gates = [cell[0].to(driven.dtype)], [cell[1]], []
        for step in driven.unbind(1):
            cell, gate = advance(step, cell, low)
            outputs.append(cell[0].to(driven.dtype))
            memories.append(cell[1])
            gates.append(gate)
        known = torch.stack(outputs, dim=1)
        ctx.save_for_backward(low, known, torch.stack(memories, dim=1), torch.stack(gates, dim=1))
        ctx.weight_type = weight.dtype
        return known[:, 1:]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients of ``driven`` and ``weight``."""
        weight, outputs, memories, gates = ctx.saved_tensors
        back = gradients[0].float()
        d_output = torch.zeros_like(back[:, 0])
        d_memory = torch.zeros_like(back[:, 0])
        d_driven = torch.empty_like(gates)
        for t in range(back.shape[1] - 1, -1, -1):
            i, f, g, o = gates[:, t].float().chunk(4, dim=-1)
            shown = memories[:, t + 1].tanh()
            d_output = d_output + back[:, t]
            d_memory = d_memory + d_output * o * (1.0 - shown.square())
            parts = [
                d_memory * g * i * (1.0 - i),
                d_memory * memories[:, t] * f * (1.0 - f),
                d_memory * i * (1.0 - g.square()),
                d_output * shown * o * (1.0 - o),
            ]
            d_driven[:, t] = torch.cat(parts, dim=-1).to(gates.dtype)
            d_output, d_memory = (d_driven[:, t] @ weight).float(), d_memory * f
        d_weight = d_driven.flatten(0, 1).mT @ outputs[:, :-1].flatten(0, 1)
        return d_driven, d_weight.to(ctx.weight_type)
