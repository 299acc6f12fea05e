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
class Skips:
    """What the decoder adds to its own feature maps, made from one frame of each video.

    A convolution of two stacked inputs is the sum of two convolutions, so that the share of the frame can be
    computed once for all pictures of its video.

    Attributes:
        dense: what is in the frame, for the dense layer.
        maps: for the feature maps at an eighth, a quarter and half of the picture's side.
    """

    dense: Float[Tensor, "B M"]
    maps: tuple[Float[Tensor, "B C h w"], ...]

    def repeat(self, times: int) -> "Skips":
        """Every row ``times`` times in a row."""
        maps = tuple(part.repeat_interleave(times, 0) for part in self.maps)
        return Skips(self.dense.repeat_interleave(times, 0), maps)


@dataclass(frozen=True)
class Seen:
    """What the encoder's layers see in a frame.

    Attributes:
        maps: feature maps at half, a quarter and an eighth of the picture's side.
        dense: the layer before the embedding.
    """

    maps: list[Float[Tensor, "B C h w"]]
    dense: Float[Tensor, "B M"]


class Vision(nn.Module):
    """Pictures <-> embeddings of mean 0 and variance 1."""

    def __init__(self, config: SVGConfig) -> None:
        super().__init__()
        half, quarter, eighth = config.widths
        self.side = config.image_size // 8
        features, flat = config.recurrent.embedding, config.bottleneck * self.side**2
        ends = ((config.channels, half), (half, quarter), (quarter, eighth))
        self.down = nn.ModuleList(nn.Conv2d(i, o, 4, 2, 1) for i, o in ends)
        self.narrow = nn.Conv2d(eighth, config.bottleneck, 1)
        self.gather = nn.Linear(flat, config.dense)
        self.join = nn.Linear(config.dense, features)
        self.norm = nn.LayerNorm(features, elementwise_affine=False)
        self.spread = nn.Linear(features, config.dense)
        self.grid = nn.Linear(config.dense, flat)
        self.widen = nn.Conv2d(config.bottleneck, eighth, 1)
        outs = ((eighth, 4 * quarter), (quarter, 4 * half), (half, 4 * config.channels))
        self.up = nn.ModuleList(nn.Conv2d(i, o, 3, padding=1) for i, o in outs)
        self.skip_dense = nn.Linear(config.dense, config.dense)
        self.skip_maps = nn.ModuleList(nn.Conv2d(w, w, 3, padding=1) for w in reversed(config.widths))
        last = self.up[-1]
        assert isinstance(last, nn.Conv2d) and last.bias is not None
        nn.init.constant_(last.bias, DARK)

    def look(self, frames: Float[Tensor, "B C H W"]) -> Seen:
        """What the encoder's layers see in frames."""
        found, maps = 2.0 * frames.contiguous(memory_format=torch.channels_last), []
        for layer in self.down:
            found = functional.relu(layer(found))
            maps.append(found)
        return Seen(maps, functional.gelu(self.gather(functional.relu(self.narrow(found)).flatten(1))))

    def embed(self, seen: Seen) -> Float[Tensor, "B F"]:
        """Embeddings of frames."""
        return self.norm(self.join(seen.dense).float())

    def skips(self, seen: Seen) -> Skips:
        """What frames hand over to the decoder."""
        parts = zip(self.skip_maps, reversed(seen.maps), strict=True)
        return Skips(self.skip_dense(seen.dense), tuple(layer(part) for layer, part in parts))

    def decode(self, features: Float[Tensor, "B*N F"], skips: Skips | None) -> Float[Tensor, "B*N C H W"]:
        """Pictures in [0, 1] of N embeddings of each video; see :class:`Skips`."""
        dense = self.spread(features)
        if skips is not None:
            dense = _add(dense, skips.dense)
        found = self.grid(functional.gelu(dense)).unflatten(1, (-1, self.side, self.side))
        found = self.widen(functional.relu(found).contiguous(memory_format=torch.channels_last))
        for index, layer in enumerate(self.up):
            if skips is not None:
                found = _add(found, skips.maps[index])
            found = functional.pixel_shuffle(layer(functional.relu(found)), 2)
        return torch.sigmoid(found.float())


def _add(features: Float[Tensor, "B*N ..."], shared: Float[Tensor, "B ..."]) -> Float[Tensor, "B*N ..."]:
    """Add a video's share to the features of its N pictures, without copying it."""
    return (features.unflatten(0, (len(shared), -1)) + shared[:, None]).flatten(0, 1)
