"""Pictures of any size and kind become squares of one size, in one way whatever they come from."""

from io import BytesIO
from typing import Any, Literal

import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray
from PIL import Image

from world_models.data import DataError

Fit = Literal["crop", "pad"]
CHANNELS = (1, 3, 4)


def fit_picture(picture: UInt8[np.ndarray, "H W 3"], size: int, fit: Fit) -> UInt8[np.ndarray, "S S 3"]:
    """The middle square of a picture, or the whole one between black bars, shrunk by area to ``size``."""
    height, width = picture.shape[:2]
    image = Image.fromarray(picture)
    if fit == "crop":
        side = min(height, width)
        left, top = (width - side) // 2, (height - side) // 2
        box = (left, top, left + side, top + side)
        return np.asarray(image.resize((size, size), Image.Resampling.BOX, box=box))
    scale = size / max(height, width)
    shown = image.resize((max(1, round(width * scale)), max(1, round(height * scale))), Image.Resampling.BOX)
    square = Image.new("RGB", (size, size))
    square.paste(shown, ((size - shown.width) // 2, (size - shown.height) // 2))
    return np.asarray(square)


def to_rgb(picture: NDArray[Any]) -> UInt8[np.ndarray, "H W 3"]:
    """A picture in colour: grey ones get three equal channels, an opacity is dropped.

    Args:
        picture: ``[H W]``, ``[H W C]`` or ``[C H W]`` with 1, 3 or 4 channels; bytes, 16-bit numbers, or
            floats from 0 to 1.

    Raises:
        DataError: it is none of these.
    """
    found = f"got {picture.dtype} {list(picture.shape)}"
    if picture.ndim == 2:
        picture = picture[:, :, None]
    if picture.ndim == 3 and picture.shape[-1] not in CHANNELS and picture.shape[0] in CHANNELS:
        picture = picture.transpose(1, 2, 0)
    if picture.ndim != 3 or picture.shape[-1] not in CHANNELS or not picture.size:
        raise DataError(f"a picture must be [H, W], [H, W, C] or [C, H, W] with 1, 3 or 4 channels, {found}")
    match picture.dtype.kind, picture.dtype.itemsize:
        case "b", _:
            picture = picture * np.uint8(255)
        case "u", 2:
            picture = picture >> 8
        case "f", _:
            if not (np.isfinite(picture).all() and picture.min() >= 0 and picture.max() <= 1):
                raise DataError(f"a picture of floats must lie between 0 and 1, {found}")
            picture = np.rint(picture * 255)
        case kind, itemsize if (kind, itemsize) != ("u", 1):
            raise DataError(f"a picture must be of bytes, 16-bit numbers or floats, {found}")
    colours = np.repeat(picture, 3, axis=2) if picture.shape[2] == 1 else picture[:, :, :3]
    return np.ascontiguousarray(colours, np.uint8)


def decode_picture(content: bytes) -> NDArray[Any]:
    """The picture in a PNG or JPEG file.

    Raises:
        DataError: it is no such file, or a broken one.
    """
    try:
        with Image.open(BytesIO(content)) as image:
            deep = image.mode.startswith("I;16")
            return np.asarray(image).astype(np.uint16) if deep else np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"no readable picture: {error}") from error
