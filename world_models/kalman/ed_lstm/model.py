"""ED-LSTM: the encoder-decoder LSTM that predicts the next picture from those before.

The baseline of Chiappa and Paquet 2019, section 3.4 and Fig. 7: fully connected encoder and decoder, a state
of 2048. It knows nothing of objects; when it generates, its own pictures are its inputs.
"""

from itertools import pairwise
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from world_models.checkpoint import load_model
from world_models.kalman.ed_lstm.config import EDLSTMConfig
from world_models.kalman.ed_lstm.recurrence import Cell, Recurrence, advance

BLACK = -4.0
"""Logit of every pixel at the start: about the share of white ones."""


class EDLSTM(nn.Module):
    """See the module; pictures have one channel."""

    def __init__(self, config: EDLSTMConfig) -> None:
        super().__init__()
        self.config = config
        pixels = config.image_size**2
        self.encoder = nn.Sequential(*_layers(pixels, *config.encoder))
        self.drive = nn.Linear(config.encoder[-1] if config.encoder else pixels, 4 * config.state)
        self.recurrent = nn.Parameter(torch.empty(4 * config.state, config.state))
        self.decoder = nn.Sequential(*_layers(config.state, *config.decoder))
        self.pixels = nn.Linear(config.decoder[-1] if config.decoder else config.state, pixels)
        self._initialise()

    @torch.no_grad()
    def _initialise(self) -> None:
        """The paper's N(0, 1 / sqrt(d)) for a matrix of d entries, gates one by one; biases 0 but for two."""
        linear = [module for module in self.modules() if isinstance(module, nn.Linear)]
        matrices = [module.weight for module in linear if module is not self.drive]
        for matrix in (*matrices, *self.drive.weight.chunk(4), *self.recurrent.chunk(4)):
            matrix.normal_(0.0, matrix.numel() ** -0.25)
        for module in linear:
            module.bias.zero_()
        self.drive.bias.chunk(4)[1].fill_(1.0)  # nothing is forgotten at first
        self.pixels.bias.fill_(BLACK)

    @classmethod
    def load(cls, folder: Path, device: torch.device | str = "cpu") -> "EDLSTM":
        """The model of a folder.

        Raises:
            CheckpointError: the folder is missing, incomplete, tampered with or of another kind.
        """
        return load_model(folder, cls, EDLSTMConfig, device)

    def forward(self, frames: Float[Tensor, "B T 1 H W"]) -> Float[Tensor, "B T 1 H W"]:
        """Logits of the frame after each one, given it and those before."""
        return self._decode(Recurrence.apply(self._drive(frames), self.recurrent))

    @torch.no_grad()
    def generate(self, frames: Float[Tensor, "B T 1 H W"], steps: int) -> Float[Tensor, "B L 1 H W"]:
        """The pictures after the given ones in [0, 1], each made from those before.

        Raises:
            ValueError: there are no steps.
        """
        if steps < 1:
            raise ValueError(f"steps must be at least 1, not {steps}")
        known = self._drive(frames)
        weight = self.recurrent.to(known.dtype)
        empty = known.new_zeros(len(frames), self.config.state, dtype=torch.float32)
        cell: Cell = (empty, empty)
        for driven in known.unbind(1):
            cell, _ = advance(driven, cell, weight)
        made = [self._decode(cell[0][:, None]).sigmoid()]
        while len(made) < steps:
            cell, _ = advance(self._drive(made[-1])[:, 0], cell, weight)
            made.append(self._decode(cell[0][:, None]).sigmoid())
        return torch.cat(made, dim=1)

    def _drive(self, frames: Float[Tensor, "B T 1 H W"]) -> Float[Tensor, "B T {4*self.config.state}"]:
        driven: Tensor = self.drive(self.encoder(frames.flatten(2)))
        return driven

    def _decode(self, states: Float[Tensor, "B T S"]) -> Float[Tensor, "B T 1 H W"]:
        logits = self.pixels(self.decoder(states)).float()
        return logits.unflatten(-1, (1, self.config.image_size, self.config.image_size))


def _layers(*widths: int) -> list[nn.Module]:
    """Linear layers, each with a ReLU behind it."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return layers
