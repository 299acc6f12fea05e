"""Bytes to values and back: the only place where request bodies and picture files are read or written."""

import base64
import binascii
import io
import json
import re
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from jaxtyping import UInt8
from PIL import Image, UnidentifiedImageError
from pydantic import BaseModel, ValidationError

from server.errors import InvalidPicture, InvalidRequest
from server.http.pictures import Picture
from server.schemas import MAX_SIDE, FieldError

M = TypeVar("M", bound=BaseModel)

# What Pillow raises for files that are damaged or made to harm.
_UNREADABLE = (OSError, ValueError, SyntaxError, EOFError, IndexError, MemoryError)
_OPAQUE_MODES = {"1", "L", "P", "RGB", "CMYK", "YCbCr"}
_ALPHA_MODES = {"LA", "PA", "RGBA"}
# A body can be wrong in a million places.
_MOST_ERRORS = 20
_MOST_SIGNS = {b":": 2_000, b"{": 2_000, b"[": 30_000}
"""Beyond all that a valid request can have; to parse as many as fit into a body keeps all others waiting."""
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.-]{1,40}")


def decode_picture(name: str, data: bytes, size: int) -> Picture:
    """Pixels of a PNG or JPEG file of ``size`` x ``size`` pixels, or of a larger square, which is shrunk to
    that by the mean over areas.

    Only the header is read before format, size and number of frames are checked. Grey, palette and
    CMYK pictures are converted; EXIF orientation is ignored. ``name`` starts the error sentences.

    Raises:
        InvalidPicture: not a PNG or JPEG, damaged, animated, of another size, 16-bit or transparent.
    """
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as image:
            _check_header(name, image, size)
            image.load()
            pixels = _opaque(name, image)
            return np.asarray(_shrunk(pixels, size))
    except InvalidPicture:
        raise
    except UnidentifiedImageError:
        raise InvalidPicture(f"{name} is not a PNG or JPEG picture.") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise InvalidPicture(f"{name} has far too many pixels; this model needs {size} x {size}.") from None
    except _UNREADABLE:
        raise InvalidPicture(f"{name} is damaged or incomplete and cannot be decoded.") from None


def decode_frames(texts: Sequence[str], size: int, field: str = "frames") -> UInt8[np.ndarray, "T H W 3"]:
    """Pixels of the pictures in a field of a request, in base64. Raises InvalidRequest, InvalidPicture."""
    names = [f"{field}.{t}" for t in range(len(texts))]
    files = [to_file(name, text) for name, text in zip(names, texts, strict=True)]
    return np.stack([decode_picture(name, data, size) for name, data in zip(names, files, strict=True)])


def decode_text(name: str, text: str, size: int) -> Picture:
    """Pixels of the picture in a request's field, in base64. Raises InvalidRequest, InvalidPicture."""
    return decode_picture(name, to_file(name, text), size)


def ascii_json(value: object) -> bytes:
    """JSON of plain values in pure ASCII; a NaN is an error, not a word no parser knows."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode("ascii")


def parse(schema: type[M], body: bytes) -> M:
    """A request in JSON. Raises InvalidRequest."""
    for sign, most in _MOST_SIGNS.items():
        if body.count(sign) > most:
            message = f"There are more than {most} '{sign.decode()}' in it, more than any request needs."
            raise InvalidRequest([FieldError(field="body", message=message)])
    try:
        return schema.model_validate_json(body)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)[:_MOST_ERRORS]
    raise InvalidRequest([_field_error(item["type"], item["loc"], item["msg"], schema) for item in found])


def _field_error(
    kind: str, location: Sequence[int | str], message: str, schema: type[BaseModel]
) -> FieldError:
    if kind == "extra_forbidden":
        there = f"; the fields are {', '.join(sorted(schema.model_fields))}" if len(location) == 1 else ""
        message = f"Unknown field{there}."
    return FieldError(field=".".join(shown(str(part)) for part in location) or "body", message=message)


def shown(name: str) -> str:
    """The name of a field as a reply may repeat it."""
    return name if _PLAIN_NAME.fullmatch(name) else "(unprintable name)"


def to_file(name: str, text: str) -> bytes:
    """The bytes of a file that a field has in base64. Raises InvalidRequest."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        message = "This is not base64; send the bytes of the file in standard base64, without a data: prefix."
        raise InvalidRequest([FieldError(field=name, message=message)]) from None


def _check_header(name: str, image: Image.Image, size: int) -> None:
    width, height = image.size
    if width != height or not size <= width <= max(size, MAX_SIDE):
        raise InvalidPicture(f"{name} is {width} x {height} pixels; this model needs {size} x {size}.")
    if getattr(image, "n_frames", 1) != 1:
        raise InvalidPicture(f"{name} has several frames; send a single picture.")
    # Pillow keeps the upper half of 16-bit colours without a word.
    deep = any("16" in str(tile.args) for tile in getattr(image, "tile", []))
    if deep or image.mode not in _OPAQUE_MODES | _ALPHA_MODES:
        raise InvalidPicture(f"{name} has an unusual pixel format; send 8 bits per channel, RGB or grey.")


def _shrunk(image: Image.Image, size: int) -> Image.Image:
    return image if image.width == size else image.resize((size, size), Image.Resampling.BOX)


def _opaque(name: str, image: Image.Image) -> Image.Image:
    """RGB pixels. A transparent pixel has no colour of its own, so there must be none."""
    if image.mode in _ALPHA_MODES or "transparency" in image.info:
        image = image.convert("RGBA")
        if np.asarray(image)[..., 3].min() < 255:
            raise InvalidPicture(f"{name} has transparent pixels; send an opaque picture.")
    return image.convert("RGB")
