"""Pictures as bytes and pictures as tensors: the only place that scales pixels.

Bytes are ``uint8``, height x width x channel, 0..255 (files, HTTP, environments).
Tensors are ``float32``, channel x height x width, 0..1 (models, planners).
"""

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

Picture = UInt8[np.ndarray, "_ _ _"]
"""One picture as bytes, height x width x channel; several in one function may differ in size."""


def to_tensor(
    frames: UInt8[np.ndarray, "*batch H W C"], device: torch.device | str = "cpu"
) -> Float[Tensor, "*batch C H W"]:
    """Scale byte pictures to ``[0, 1]`` and put the channel first.

    Raises:
        TypeError: the array is not ``uint8``.
        ValueError: it has fewer than three axes.
    """
    if frames.dtype != np.uint8:
        raise TypeError(f"pictures must be uint8 in 0..255, got {frames.dtype}")
    if frames.ndim < 3:
        raise ValueError(f"pictures must be [..., H, W, C], got shape {frames.shape}")
    # The copy gives torch memory of its own: arrays read from files may be read-only.
    pixels = torch.from_numpy(np.array(np.moveaxis(frames, -1, -3), order="C")).to(device)
    return pixels.float().div_(255.0)


def to_bytes(frames: Float[Tensor, "*batch C H W"]) -> UInt8[np.ndarray, "*batch H W C"]:
    """Round tensors in ``[0, 1]`` to byte pictures with the channel last; values outside are clipped.

    ``to_bytes(to_tensor(x))`` is ``x``, bit for bit.
    """
    pixels = frames.detach().float().clamp(0.0, 1.0).mul(255.0).round().to(torch.uint8)
    return np.ascontiguousarray(pixels.movedim(-3, -1).cpu().numpy())
