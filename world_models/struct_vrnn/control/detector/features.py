"""What a control model reads of pictures: where things are, how they came there, and what was done."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from world_models.precision import autocast
from world_models.struct_vrnn.control.config import Part
from world_models.struct_vrnn.model import StructVRNN

PIXELS = 8.0
"""Pixels that count as much as one: bodies are that far from the middle of the picture, by and large."""
KEYPOINTS = 4.0
"""What weighed keypoints are multiplied by, for the same reason."""


@torch.no_grad()
def detect(world: StructVRNN, frames: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D"]:
    """Features of pictures, for training as for control: :meth:`StructVRNN.embed`, in reduced precision where
    the device is fast at it.
    """
    with autocast(frames.device):
        return world.embed(frames).float()


def measure(
    world: StructVRNN, features: Float[Tensor, "*B D"], reads: Sequence[Part]
) -> Float[Tensor, "*B M"]:
    """The numbers that are read of a picture with these features.

    Raises:
        ValueError: bodies are asked for, and the detector knows none.
    """
    if "bodies" in reads and not world.config.bodies:
        raise ValueError("the detector knows no bodies; let the control model read keypoints alone")
    middle = (world.config.image_size - 1) / 2
    parts = []
    if "bodies" in reads:
        parts.append((world.places(features).flatten(-2) - middle) / PIXELS)
    if "keypoints" in reads:
        parts.append(world.weigh(features)[..., : world.config.detected] * KEYPOINTS)
    return torch.cat(parts, -1)


def stack(
    measured: Float[Tensor, "B T M"], actions: Float[Tensor, "B T-1 A"], frames: int
) -> Float[Tensor, "B T F"]:
    """What is read at every picture of a sequence: its measurements, the ``frames - 1`` changes that led to
    it, and as many actions. Before the first picture nothing moved and nothing was done.
    """
    length, before = measured.shape[1], frames - 1
    seen = torch.cat([measured[:, :1].expand(-1, before, -1), measured], 1)
    done = torch.cat([actions.new_zeros(len(actions), before, actions.shape[-1]), actions], 1)
    changes = seen[:, 1:] - seen[:, :-1]
    moved = [changes[:, k : k + length] for k in range(before)]
    return torch.cat([measured, *moved, *(done[:, k : k + length] for k in range(before))], -1)
