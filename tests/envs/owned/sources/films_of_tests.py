"""Tiny films whose shades say which picture of which film they are."""

from pathlib import Path

import imageio_ffmpeg
import numpy as np
from PIL import Image

STEP = 8
"""Shades from a picture to the next."""


def shade(first: int, number: int) -> int:
    return first + STEP * number


def save_film(path: Path, pictures: int, first: int = 0, size: tuple[int, int] = (96, 64)) -> None:
    """Picture t is as grey as first + 8 t, but its left fifth is black."""
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"codec": "libvpx"} if path.suffix == ".webm" else {}
    writer = imageio_ffmpeg.write_frames(str(path), size, fps=10, quality=9, macro_block_size=2, **options)
    writer.send(None)
    for number in range(pictures):
        writer.send(draw(number, first, size).tobytes())
    writer.close()


def save_gif(path: Path, pictures: int, first: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn = [Image.fromarray(draw(number, first, (96, 64))) for number in range(pictures)]
    drawn[0].save(path, save_all=True, append_images=drawn[1:], duration=100)


def draw(number: int, first: int, size: tuple[int, int]) -> np.ndarray:
    picture = np.full((size[1], size[0], 3), shade(first, number), np.uint8)
    picture[:, : size[0] // 5] = 0
    return picture
