"""SVG's frame encoder, and its decoder with skip connections from the last true frame (section 3).

Plain convolutions without batch normalisation, which would let the frames of a batch influence each other.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from world_models.svg.config import SVGConfig

DARK = -3.0
"""Bias of the decoder's output before training: most pixels of most videos are dark."""


@dataclass(frozen=True)
class Seen:
    """What the encoder's layers see in frames."""

    fine: Float[Tensor, "B P h w"]
    """Feature maps at a quarter of the picture's side."""
    coarse: Float[Tensor, "B Q h/2 w/2"]
    """At an eighth."""
    dense: Float[Tensor, "B M"]
    """The layer before the embedding."""

    def rows(self, which: slice) -> "Seen":
        """Of some of the frames."""
        return Seen(*(part[which] for part in vars(self).values()))


@dataclass(frozen=True)
class Skips:
    """What the decoder adds to its own layers, made from one frame of each video.

    A convolution of two stacked inputs is the sum of two convolutions, so that the share of the frame can be
    computed once for all pictures of its video.
    """

    fine: Float[Tensor, "B P h w"]
    coarse: Float[Tensor, "B Q h/2 w/2"]
    dense: Float[Tensor, "B M"]

    def repeat(self, times: int) -> "Skips":
        """Every row ``times`` times in a row."""
        return Skips(*(part.repeat_interleave(times, 0) for part in vars(self).values()))


class Encoder(nn.Module):
    """Pictures -> embeddings of mean 0 and variance 1."""

    def __init__(self, config: SVGConfig) -> None:
        super().__init__()
        fine, coarse = config.widths
        features, side = config.recurrent.embedding, config.image_size // 8
        self.down = nn.Conv2d(config.channels, fine, 8, 4, 2)
        self.lower = nn.Conv2d(fine, coarse, 4, 2, 1)
        self.join = nn.Conv2d(coarse, coarse, 3, padding=1)
        self.narrow = nn.Conv2d(coarse, config.bottleneck, 1)
        self.gather = nn.Linear(config.bottleneck * side**2, config.dense)
        self.embedding = nn.Linear(config.dense, features)
        self.norm = nn.LayerNorm(features, elementwise_affine=False)

    def look(self, frames: Float[Tensor, "B C H W"]) -> Seen:
        """What the layers see in frames."""
        # A picture of one channel has no memory format of its own; its feature maps are given the fast one.
        fine = functional.relu(self.down(2.0 * frames).contiguous(memory_format=torch.channels_last))
        coarse = functional.relu(self.join(functional.relu(self.lower(fine))))
        flat = functional.relu(self.narrow(coarse)).flatten(1)
        return Seen(fine, coarse, functional.gelu(self.gather(flat)))

    def forward(self, seen: Seen) -> Float[Tensor, "B F"]:
        """Embeddings of frames."""
        return self.norm(self.embedding(seen.dense).float())


class Decoder(nn.Module):
    """Embeddings and skips -> pictures in [0, 1]."""

    def __init__(self, config: SVGConfig) -> None:
        super().__init__()
        (fine, coarse), self.side = config.widths, config.image_size // 8
        self.spread = nn.Linear(config.recurrent.embedding, config.dense)
        self.grid = nn.Linear(config.dense, config.bottleneck * self.side**2)
        self.widen = nn.Conv2d(config.bottleneck, coarse, 1)
        self.upper = nn.Conv2d(coarse, 4 * fine, 3, padding=1)
        self.draw = nn.Conv2d(fine, config.strokes, 3, padding=1)
        self.paint = nn.Conv2d(config.strokes, 16 * config.channels, 3, padding=1)
        self.fine_skip = nn.Conv2d(fine, fine, 3, padding=1)
        self.coarse_skip = nn.Conv2d(coarse, coarse, 3, padding=1)
        self.dense_skip = nn.Linear(config.dense, config.dense)
        assert self.paint.bias is not None
        nn.init.constant_(self.paint.bias, DARK)

    def skips(self, seen: Seen) -> Skips:
        """What frames hand over."""
        return Skips(self.fine_skip(seen.fine), self.coarse_skip(seen.coarse), self.dense_skip(seen.dense))

    def forward(self, features: Float[Tensor, "rows F"], skips: Skips | None) -> Float[Tensor, "rows C H W"]:
        """Pictures of N embeddings of each video, those of one video in a row."""
        dense, coarse, fine = (None,) * 3 if skips is None else (skips.dense, skips.coarse, skips.fine)
        spread = functional.gelu(_add(self.spread(features), dense))
        grid = functional.relu(self.grid(spread)).unflatten(1, (-1, self.side, self.side))
        wide = self.widen(grid.contiguous(memory_format=torch.channels_last))
        upper = functional.pixel_shuffle(self.upper(functional.relu(_add(wide, coarse))), 2)
        strokes = functional.relu(self.draw(functional.relu(_add(upper, fine))))
        return torch.sigmoid(functional.pixel_shuffle(self.paint(strokes), 4).float())


def _add(features: Float[Tensor, "rows ..."], shared: Float[Tensor, "B ..."] | None) -> Tensor:
    """Add a video's share to the features of its N pictures, without copying it."""
    if shared is None:
        return features
    return (features.unflatten(0, (len(shared), -1)) + shared[:, None]).flatten(0, 1)
