"""Where bodies are, read off keypoints: what the cost of a task needs to know of an imagined frame.

Which keypoint stands for what is not known beforehand. A small network learns it from recordings that say
where the bodies were: pixel positions, as colour segmentation and a robot's own joints give them.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from world_models.layers import mlp
from world_models.struct_vrnn.config import StructVRNNConfig

WIDTH = 128
"""Hidden units."""
SMALLEST = 1e-3
"""Inputs that vary less are not blown up to full size."""


class BodyReader(nn.Module):
    """A linear map from keypoints to places, and a small network for what is not linear in it.

    The dynamics learn to move its places only as well as they are read, so it is trained before them.
    """

    def __init__(self, config: StructVRNNConfig) -> None:
        super().__init__()
        self.scale = config.body_scale
        outputs = 2 * len(config.bodies)
        self.linear = nn.Linear(config.detected, outputs)
        self.rest = mlp(config.detected, WIDTH, outputs)
        self.register_buffer("mean", torch.zeros(config.detected))
        self.register_buffer("spread", torch.ones(config.detected))
        self.mean: Tensor
        self.spread: Tensor

    def set_scales(self, features: Float[Tensor, "n D"]) -> None:
        """Take mean and spread of the inputs from the training data, rounded as they will be stored."""
        self.mean.copy_(features.mean(0).half())
        self.spread.copy_(features.std(0).clamp_min(SMALLEST).half())

    def forward(self, features: Float[Tensor, "*B D"]) -> Float[Tensor, "*B {self.linear.out_features//2*3}"]:
        """(x, y, scale) of every body, coordinates as those of keypoints."""
        with torch.autocast(features.device.type, enabled=False):
            inputs = (features.float() - self.mean) / self.spread
            places = (self.linear(inputs) + self.rest(inputs)).unflatten(-1, (-1, 2))
        scales = places.new_full((*places.shape[:-1], 1), self.scale)
        return torch.cat([places, scales], -1).flatten(-2)
