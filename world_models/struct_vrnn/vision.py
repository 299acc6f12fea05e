"""Pictures <-> features: keypoint detector, generator, and the unstructured pair of CNN-VRNN.

Section 3.1 and S1.1.1 of Minderer et al. 2019. Coordinates are in -1..1, x to the right, y down, the centres
of the outer cells of the map at -1 and 1.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from world_models.struct_vrnn.config import StructVRNNConfig

_TINY = 1e-6


@dataclass(frozen=True)
class Detection:
    """What was found in frames."""

    features: Float[Tensor, "B F"]
    """(x, y, scale) of every keypoint in turn; the scale is relative to the largest one."""
    activity: Float[Tensor, "B K"]
    """Mean of every keypoint's raw map, what the sparsity loss is about; zeros for CNN-VRNN."""


@dataclass(frozen=True)
class Reference:
    """A frame whose appearance the generator starts from, in the paper the first one of a sequence."""

    frames: Float[Tensor, "B C H W"]
    maps: Float[Tensor, "B K h w"]
    appearance: Float[Tensor, "B G h w"]

    def repeat(self, times: int) -> "Reference":
        """Every row ``times`` times in a row."""
        return Reference(
            self.frames.repeat_interleave(times, 0),
            self.maps.repeat_interleave(times, 0),
            self.appearance.repeat_interleave(times, 0),
        )


class Vision(nn.Module):
    """The autoencoder with a representational bottleneck: detector, renderer, generator."""

    def __init__(self, config: StructVRNNConfig) -> None:
        super().__init__()
        self.trunk = _trunk(config)
        self.appearance = _trunk(config)
        self.code: KeypointCode | VectorCode = (
            KeypointCode(config) if config.representation == "keypoints" else VectorCode(config)
        )
        self.structured = config.representation == "keypoints"
        self.copies = not config.published
        full, half, quarter = config.widths
        double = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
        self.coarse = nn.Sequential(
            nn.Conv2d(2 * config.keypoints + quarter + 2, quarter, 1),
            nn.LeakyReLU(0.2),
            *_convolutions(quarter, quarter, config.extra_layers - 1),
            double,
            *_convolutions(quarter, half, 0),
        )
        self.fine = nn.Sequential(
            *_convolutions(half + (12 if self.copies else 0), half, config.extra_layers - 1),
            *((double, *_convolutions(half, full, config.extra_layers)) if full else ()),
        )
        # Without layers at full size the last convolution paints four pixels at once.
        self.shuffle = 1 if full else 2
        self.painter = nn.Conv2d(full or half, 3 * self.shuffle**2, 3, padding=1)
        self.register_buffer("full_grid", _grid(config.image_size), persistent=False)
        self.register_buffer("map_grid", _grid(config.map_size), persistent=False)
        self.full_grid: Tensor
        self.map_grid: Tensor
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight, a=0.2)
        for parameter in self.painter.parameters() if self.copies else ():
            nn.init.zeros_(parameter)  # start from the reference, unchanged
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in the stubs

    def detect(self, frames: Float[Tensor, "B C H W"]) -> Detection:
        """Features of single frames."""
        return self.code.detect(self.trunk(self._with_grid(frames)))

    def reference(
        self, frames: Float[Tensor, "B C H W"], features: Float[Tensor, "B F"] | None = None
    ) -> Reference:
        """What the generator needs of a first frame; its features are detected unless given."""
        found = self.detect(frames).features if features is None else features
        return Reference(frames, self.code.render(found), self.appearance(self._with_grid(frames)))

    def generate(self, features: Float[Tensor, "B F"], reference: Reference) -> Float[Tensor, "B C H W"]:
        """Pictures of features, as a change of the reference's pictures (eq. S5); not clipped to [0, 1]."""
        grid = self.map_grid.expand(len(features), -1, -1, -1)
        maps = [self.code.render(features), reference.maps, reference.appearance, grid]
        half = self.coarse(_channels_last(torch.cat(maps, 1)))
        if self.copies:  # what is in the reference has to be painted over to the pixel
            half = torch.cat([half, functional.pixel_unshuffle(reference.frames, 2)], 1)
        change = self.painter(self.fine(_channels_last(half)))
        return reference.frames + functional.pixel_shuffle(change, self.shuffle).float()

    def _with_grid(self, frames: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C+2 H W"]:
        # Filled in place: a third of the time of joining and permuting.
        shape = (len(frames), 5, *frames.shape[-2:])
        full = torch.empty(shape, device=frames.device, memory_format=torch.channels_last)
        full[:, :3] = frames - 0.5
        full[:, 3:] = self.full_grid
        return full


class KeypointCode(nn.Module):
    """Maps -> keypoints -> blobs (eq. S1 to S4)."""

    def __init__(self, config: StructVRNNConfig) -> None:
        super().__init__()
        self.maps = nn.Conv2d(config.widths[2], config.keypoints, 1)
        side = config.map_size
        cell = 2.0 / (side - 1)
        self.precision = 1.0 / (2.0 * (config.blob_width * cell) ** 2)
        self.register_buffer("line", torch.linspace(-1.0, 1.0, side), persistent=False)
        self.line: Tensor

    def detect(self, seen: Float[Tensor, "B G h w"]) -> Detection:
        raw = functional.softplus(self.maps(seen).float()) + _TINY
        activity = raw.mean((-2, -1))
        weights = raw / raw.sum((-2, -1), keepdim=True)
        x = (weights.sum(-2) * self.line).sum(-1)
        y = (weights.sum(-1) * self.line).sum(-1)
        scale = activity / activity.amax(-1, keepdim=True)
        return Detection(torch.stack([x, y, scale], -1).flatten(1), activity)

    def render(self, features: Float[Tensor, "B F"]) -> Float[Tensor, "B K h w"]:
        x, y, scale = features.float().unflatten(-1, (-1, 3)).unbind(-1)
        # A Gaussian is a product of one along x and one along y.
        across = torch.exp(-self.precision * (self.line - x[..., None]).square())
        down = torch.exp(-self.precision * (self.line - y[..., None]).square())
        return torch.einsum("bkh,bkw->bkhw", scale[..., None] * down, across)


class VectorCode(nn.Module):
    """The bottleneck of CNN-VRNN: 3K numbers of mean 0 and variance 1 without spatial meaning."""

    def __init__(self, config: StructVRNNConfig) -> None:
        super().__init__()
        self.keypoints, self.side = config.keypoints, config.map_size
        cells = self.side**2
        self.squeeze = nn.Linear(config.widths[2] * cells, config.detected)
        self.norm = nn.LayerNorm(config.detected, elementwise_affine=False)
        self.spread = nn.Linear(config.detected, config.keypoints * cells)

    def detect(self, seen: Float[Tensor, "B G h w"]) -> Detection:
        features = self.norm(self.squeeze(seen.flatten(1)).float())
        return Detection(features, features.new_zeros(len(features), self.keypoints))

    def render(self, features: Float[Tensor, "B F"]) -> Float[Tensor, "B K h w"]:
        return self.spread(features).float().unflatten(-1, (self.keypoints, self.side, self.side))


def to_pixels(coordinates: Float[Tensor, "*B"], size: int) -> Float[Tensor, "*B"]:
    """Coordinates of keypoints in pixels of a picture of side ``size``; pixel centres are integers."""
    return (coordinates + 1.0) * (0.5 * (size - 4)) + 1.5


def from_pixels(pixels: Float[Tensor, "*B"], size: int) -> Float[Tensor, "*B"]:
    """The inverse of :func:`to_pixels`: a cell of the map covers 4 x 4 pixels."""
    return (pixels - 1.5) / (0.5 * (size - 4)) - 1.0


def _trunk(config: StructVRNNConfig) -> nn.Sequential:
    """Pictures and their grid -> feature maps of a quarter of the size."""
    full, half, quarter = config.widths
    layers = list[nn.Module]()
    channels = 5
    if full:
        layers += _convolutions(channels, full, config.extra_layers)
        channels = full
    layers += _convolutions(channels, half, config.extra_layers, stride=2)
    layers += _convolutions(half, quarter, config.extra_layers, stride=2)
    return nn.Sequential(*layers)


def _convolutions(inputs: int, outputs: int, extra: int, stride: int = 1) -> list[nn.Module]:
    first = nn.Conv2d(inputs, outputs, 3, stride, padding=1)
    more = (nn.Conv2d(outputs, outputs, 3, padding=1) for _ in range(extra))
    return [layer for conv in (first, *more) for layer in (conv, nn.LeakyReLU(0.2))]


def _grid(side: int) -> Float[Tensor, "2 side side"]:
    line = torch.linspace(-1.0, 1.0, side)
    return torch.stack(torch.meshgrid(line, line, indexing="xy"))


def _channels_last(maps: Float[Tensor, "B G h w"]) -> Float[Tensor, "B G h w"]:
    return maps.contiguous(memory_format=torch.channels_last)  # half the time of convolutions on CPUs
