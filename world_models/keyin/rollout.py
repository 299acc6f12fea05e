"""LSTM_key rolled out for many candidates at once: the search's inner loop, in as few operations as it takes.

The numbers are those of :meth:`world_models.keyin.predictor.KeyframePredictor.sample` but for rounding.
Weights are brought once into the format that the device multiplies fastest; matrices that read the same
inputs become one; how many keyframes are left, the same for all candidates, goes into the biases; and times,
which nothing on the way depends on, are found for all keyframes together.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from world_models.keyin.predictor import COUNT_SCALE, LAYERS, KeyframePredictor, State
from world_models.layers import LOG_VARIANCE, reparameterise
from world_models.precision import is_reduced


@dataclass(frozen=True)
class _Affine:
    """``x @ weight + bias``, with a bias for every number of keyframes that are left (one for all, if the
    model is not told).
    """

    weight: Float[Tensor, "I O"]
    bias: Float[Tensor, "K O"]

    def __call__(self, inputs: Float[Tensor, "B I"], left: int = 1) -> Float[Tensor, "B O"]:
        return torch.addmm(self.bias[min(left, len(self.bias)) - 1], inputs, self.weight)


class KeyframeRollout:
    """The predictor's weights, ready to be used, on the device that they are on."""

    def __init__(self, predictor: KeyframePredictor) -> None:
        lstm, told = predictor.lstm, predictor.keyframes if predictor.countdown else 0
        embedding = lstm.input_size - told - predictor.latent
        known = lstm.hidden_size + embedding
        device = next(predictor.parameters()).device
        self._dtype = torch.bfloat16 if is_reduced(device) else torch.float32
        self._told, self._norm, self._spread = told, predictor.norm, 0.0
        self._cells = [self._cell(lstm, layer, embedding) for layer in range(LAYERS)]
        self._prior: tuple[_Affine, _Affine] | None = None
        if predictor.learned_prior:
            self._prior = self._layers(predictor.prior_head.net, known)
            self._spread = predictor.prior_head.spread
        change, self._change = self._layers(predictor.change, known)
        offset, self._offset = self._layers(predictor.offset, known)
        self._sizes = [change.weight.shape[1], offset.weight.shape[1]]
        self._features = _Affine(
            torch.cat([change.weight, offset.weight], 1), torch.cat([change.bias, offset.bias], 1)
        )

    @torch.no_grad()
    def sample(
        self, state: State, first: Float[Tensor, "B F"], noise: Float[Tensor, "B L Z"]
    ) -> tuple[Float[Tensor, "B L F"], Float[Tensor, "B L S"]]:
        """Keyframes and the logits of their times, as ``KeyframePredictor.sample`` has them."""
        hidden = [part.to(self._dtype) for part in state[0]]
        cells = list(state[1].float().unbind(0))
        keyframe = first.float()
        embeddings, timing = [], []
        for left, eps in zip(range(noise.shape[1], 0, -1), noise.unbind(1), strict=True):
            shown = keyframe.to(self._dtype)
            latent = self._decide(hidden[-1], shown, eps, left).to(self._dtype)
            inputs = torch.cat([shown, latent], 1)
            below = inputs
            for layer, cell in enumerate(self._cells):
                gates = cell(torch.cat([below, hidden[layer]], 1), left)
                hidden[layer], cells[layer] = self._turn(gates, cells[layer])
                below = hidden[layer]
            features = functional.gelu(self._features(torch.cat([below, inputs], 1), left))
            change, offset = features.split(self._sizes, 1)
            keyframe = self._norm(keyframe + self._change(change).float())
            embeddings.append(keyframe)
            timing.append(offset)
        logits = self._offset(torch.stack(timing, 1).flatten(0, 1)).float()
        return torch.stack(embeddings, 1), logits.unflatten(0, (len(first), -1))

    def _decide(
        self,
        hidden: Float[Tensor, "B H"],
        keyframe: Float[Tensor, "B F"],
        noise: Float[Tensor, "B Z"],
        left: int,
    ) -> Float[Tensor, "B Z"]:
        """The decision that noise makes under the prior."""
        if self._prior is None:
            return noise
        first, last = self._prior
        known = first(torch.cat([hidden, keyframe], 1), left)
        mean, log_variance = last(functional.gelu(known)).float().chunk(2, 1)
        return reparameterise((mean, (log_variance + self._spread).clamp(*LOG_VARIANCE)), noise)

    def _turn(
        self, gates: Float[Tensor, "B G"], cell: Float[Tensor, "B H"]
    ) -> tuple[Float[Tensor, "B H"], Float[Tensor, "B H"]]:
        """Output and cell of a layer of LSTM from its gates: input, forget, output, then what is written."""
        size = cell.shape[1]
        keep, written = gates.float().split([3 * size, size], 1)
        taken, kept, shown = keep.sigmoid().chunk(3, 1)
        cell = (kept * cell).addcmul(taken, written.tanh())
        return (shown * cell.tanh()).to(self._dtype), cell

    def _cell(self, lstm: nn.LSTM, layer: int, embedding: int) -> _Affine:
        """A layer's gates from its inputs and its last output."""
        inputs, state, *biases = (
            getattr(lstm, f"{name}_l{layer}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        gates = self._affine(torch.cat([inputs, state], 1), sum(biases), embedding if layer == 0 else None)
        order = [0, 1, 3, 2]  # torch has input, forget, cell, output
        weight, bias = (
            torch.cat([part.chunk(4, 1)[k] for k in order], 1).contiguous()
            for part in (gates.weight, gates.bias)
        )
        return _Affine(weight, bias)

    def _layers(self, net: nn.Sequential, told_at: int) -> tuple[_Affine, _Affine]:
        """Both linear layers of a small network."""
        first, last = (layer for layer in net if isinstance(layer, nn.Linear))
        return self._affine(first.weight, first.bias, told_at), self._affine(last.weight, last.bias)

    def _affine(
        self, weight: Float[Tensor, "O I"], bias: Float[Tensor, " O"], told_at: int | None = None
    ) -> _Affine:
        """``told_at`` is the first of the inputs that say how many keyframes are left."""
        biases = bias[None]
        if told_at is not None and self._told:
            before, told, after = weight.split(
                [told_at, self._told, weight.shape[1] - told_at - self._told], 1
            )
            weight, biases = torch.cat([before, after], 1), bias + COUNT_SCALE * told.T
        return _Affine(weight.T.to(self._dtype).contiguous(), biases.to(self._dtype).contiguous())
