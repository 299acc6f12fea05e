"""Handwritten digits, enlarged to the 32 x 32 pixels of Stochastic Moving MNIST.

Those that come along are scikit-learn's, 1,797 of 8 x 8 pixels (source and licence in ``digits.md``). Who has
the files of MNIST (LeCun, Cortes and Burges 1998) can use them instead.
"""

import gzip
import hashlib
import math
import zlib
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from world_models.data import DataError

Split = Literal["train", "test"]

SIZE = 32
"""Side of a digit's picture; in the authors' generator MNIST's 28 pixels are enlarged to this."""
BUNDLED = Path(__file__).with_name("digits.npz")
TRAINING = 1500
"""The first so many bundled digits are for training, the other 297 for testing."""
LEVELS = 16
"""Greatest value of a bundled digit's pixels."""
INK = 24
"""Side of a bundled digit without margin. MNIST's digits fill 20 of 28 pixels, which is 23 of 32."""
MNIST = {"train": "train-images-idx3-ubyte", "test": "t10k-images-idx3-ubyte"}
MD5 = {"train": "6bbc9ace898e44ae57da46a324031adb", "test": "2646ac647ad5339dbf082846283269ea"}
"""Of the unpacked files."""
IDX_IMAGES = 0x00000803
"""Magic number of an idx file of bytes with three axes."""


@cache
def load_digits(split: Split, mnist: Path | None = None) -> UInt8[np.ndarray, "digits 32 32"]:
    """All digits of a split, white on black; no digit is in both.

    Args:
        split: training or testing.
        mnist: folder with MNIST's two files of pictures, plain or gzipped; None for the bundled digits.

    Raises:
        DataError: a file of MNIST is missing or malformed, or is not MNIST's.
    """
    if mnist is None:
        with np.load(digits_file(split, None)) as file:
            images = file["images"]
        part = images[:TRAINING] if split == "train" else images[TRAINING:]
        scaled = np.rint(part * (255 / LEVELS)).astype(np.uint8)
        margin = (SIZE - INK) // 2
        large = np.pad(
            _enlarge(scaled, INK, Image.Resampling.BICUBIC), ((0, 0), (margin, margin), (margin, margin))
        )
    else:
        # Bilinear, as the authors enlarge them.
        large = _enlarge(load_mnist(split, mnist), SIZE, Image.Resampling.BILINEAR)
    large.setflags(write=False)
    return large


@cache
def load_mnist(split: Split, folder: Path) -> UInt8[np.ndarray, "digits 28 28"]:
    """All of MNIST's digits of a split as they are.

    Raises:
        DataError: the file is missing or malformed, or is not MNIST's.
    """
    path = digits_file(split, folder)
    content = _content(path)
    images = read_idx(path)
    if (found := hashlib.md5(content, usedforsecurity=False).hexdigest()) != MD5[split]:
        raise DataError(
            f"{path} is not MNIST's {MNIST[split]}: the MD5 of its content is {found}, not {MD5[split]}"
        )
    return images


def read_idx(path: Path) -> UInt8[np.ndarray, "n H W"]:
    """The pictures in an idx file, plain or gzipped.

    Raises:
        DataError: it is no idx file of byte pictures, or it is cut off.
    """
    content = _content(path)
    magic, *shape = (int.from_bytes(content[k : k + 4], "big") for k in range(0, 16, 4))
    if magic != IDX_IMAGES:
        raise DataError(
            f"{path} is no idx file of pictures: it begins with {magic:#010x}, not {IDX_IMAGES:#010x}"
        )
    if len(content) != 16 + math.prod(shape):
        raise DataError(f"{path} has {len(content)} bytes, but {shape} pictures need {16 + math.prod(shape)}")
    return np.frombuffer(content, np.uint8, offset=16).reshape(shape)


def _content(path: Path) -> bytes:
    """What a file holds, unpacked."""
    try:
        return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}") from error


def digits_file(split: Split, mnist: Path | None) -> Path:
    """The file that a split's digits are read from.

    Raises:
        DataError: a file of MNIST is missing.
    """
    if mnist is None:
        return BUNDLED
    folder, name = mnist, MNIST[split]
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise DataError(f"{folder} has no {name} or {name}.gz; MNIST's pictures are {', '.join(MNIST.values())}")


def _enlarge(
    images: UInt8[np.ndarray, "n h w"], size: int, filtering: Image.Resampling
) -> UInt8[np.ndarray, "n size size"]:
    return np.stack([np.asarray(Image.fromarray(image).resize((size, size), filtering)) for image in images])
