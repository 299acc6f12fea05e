"""What all exports share: a folder that is written whole, sequences one by one, and films."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from jaxtyping import UInt8
from tqdm import tqdm

from world_models.data import DataError, SequenceDataset, Sequences
from world_models.jobs.outputs import check_folder

CODING = (
    "-crf",
    "8",
    "-g",
    "2",
    "-bf",
    "0",
    "-threads",
    "1",
    "-fflags",
    "+bitexact",
    "-flags:v",
    "+bitexact",
)
"""Nearly as sharp as the pictures; any picture is found quickly; the same pictures give the same bytes."""


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """Gives a folder that takes the place of ``out`` at the end; when what is inside fails, nothing is left.

    Raises:
        ValueError: there is something already, or the place cannot be written.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} holds something already; choose another --out")
    check_folder("--out", out.parent)
    temporary = out.with_name(f".{out.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
        temporary.replace(out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_rate(fps: float) -> None:
    """Make sure that a film can have so many pictures per second.

    Raises:
        ValueError: it cannot.
    """
    if not 0 < fps <= 1000:
        raise ValueError(f"--fps must be greater than 0 and at most 1000, got {fps:g}")


def each(data: SequenceDataset) -> Iterator[tuple[int, Sequences]]:
    """Number and content of every sequence, with a progress bar."""
    for number in tqdm(range(len(data)), desc="episodes", unit="episode"):
        yield number, data[number]


def write_film(path: Path, pictures: UInt8[np.ndarray, "T H W C"], fps: float) -> None:
    """Write an MP4 film (H.264).

    Raises:
        DataError: width or height is odd, which films cannot have.
    """
    height, width, channels = pictures.shape[1:]
    if height % 2 or width % 2:
        raise DataError(f"pictures of {width} x {height} make no film: width and height must be even")
    coloured = np.repeat(pictures, 3, axis=3) if channels == 1 else pictures
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = imageio_ffmpeg.write_frames(
        str(path), (width, height), fps=fps, quality=None, macro_block_size=2, output_params=list(CODING)
    )
    writer.send(None)
    for picture in coloured:
        writer.send(np.ascontiguousarray(picture))
    writer.close()
