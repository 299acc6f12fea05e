"""Pictures as arrays, and as text in base64: all that a client needs of them."""

import base64
import io

import numpy as np
from jaxtyping import UInt8
from PIL import Image

Picture = UInt8[np.ndarray, "H W 3"]


def to_base64(picture: Picture) -> str:
    """A PNG in base64; little compression, because pictures are small and time is short."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG", compress_level=1)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def from_base64(text: str) -> Picture:
    """The pixels of a PNG that :func:`to_base64` made; for replies, not for what strangers send."""
    with Image.open(io.BytesIO(base64.b64decode(text)), formats=("PNG",)) as image:
        return np.asarray(image.convert("RGB"))
