"""Pictures as users have them, made into those that are sent."""

from typing import Any

import numpy as np
from jaxtyping import UInt8

from server.http.pictures import to_base64

PictureLike = Any
"""What numpy can read as a picture: height, width and 1, 3 or 4 channels (or none) in this order, or channels
first; axes of length 1 may come before. Integers are 0 to 255, floats 0 to 1."""
FramesLike = Any
"""The same with an axis of time before it, or a list of pictures."""


def encode(picture: PictureLike) -> str:
    """A picture as requests have it.

    Raises:
        ValueError: it is no picture; the message says what one is.
    """
    return to_base64(as_picture(picture))


def encode_frames(frames: FramesLike) -> list[str]:
    """Several pictures as requests have them. Raises likewise."""
    if not isinstance(frames, list | tuple):
        frames = _array(frames)
        while frames.ndim > 4 and len(frames) == 1:
            frames = frames[0]
    return [encode(frame) for frame in frames]


def as_picture(picture: PictureLike) -> UInt8[np.ndarray, "H W 3"]:
    """A picture as 8 bits of red, green and blue. Raises likewise."""
    array = _array(picture)
    while array.ndim > 3 and len(array) == 1:
        array = array[0]
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim == 3 and array.shape[0] in {1, 3, 4} and array.shape[-1] not in {1, 3, 4}:
        array = np.moveaxis(array, 0, -1)
    if array.ndim != 3 or array.shape[-1] not in {1, 3, 4}:
        raise ValueError(f"a picture has the shape [H, W, 3] or [3, H, W], this has {np.shape(picture)}")
    levels = _levels(array)
    if levels.shape[-1] == 4:
        if (levels[..., 3] != 255).any():
            raise ValueError("the picture is partly transparent; draw it on a background first")
        levels = levels[..., :3]
    return np.ascontiguousarray(np.broadcast_to(levels, (*levels.shape[:2], 3)))


def _array(picture: PictureLike) -> np.ndarray:
    """A numpy array; tensors of other libraries may lie on a device or have a gradient."""
    for method in ("detach", "cpu"):
        picture = getattr(picture, method, lambda same=picture: same)()
    return np.asarray(picture)


def _levels(array: np.ndarray) -> UInt8[np.ndarray, "H W C"]:
    """Values as 0 to 255."""
    kind = array.dtype.kind
    most = {"f": 1, "u": 255, "i": 255}.get(kind)
    if most is None:
        raise ValueError(f"a picture has numbers, integers 0 to 255 or floats 0 to 1, not {array.dtype}")
    if not (np.isfinite(array).all() and array.min(initial=0) >= 0 and array.max(initial=0) <= most):
        what = "floats must be 0 to 1; divide by 255 first" if kind == "f" else "integers must be 0 to 255"
        raise ValueError(f"a picture's {what}, these are {array.min():g} to {array.max():g}")
    return (array if kind != "f" else np.rint(255 * array)).astype(np.uint8)
