"""Films, and folders of pictures: an episode each, in which nobody acts."""

import re
import subprocess
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import imageio_ffmpeg
import numpy as np
from jaxtyping import UInt8

from envs.owned.sources.episode import Draw, Episode, Step, natural_order
from envs.owned.sources.pictures import decode_picture
from world_models.data import DataError

FILMS = (".mp4", ".avi", ".gif", ".webm", ".mov")
PICTURES = (".png", ".jpg", ".jpeg")
BYTES = 4096
"""Of a film per picture: a low guess, by which shards are cut."""


def list_episodes(source: Path) -> list[Episode]:
    """Films, and folders with pictures, anywhere in a folder, by name; ``frame-2`` comes before ``frame-10``.

    Raises:
        DataError: there are none.
    """
    films: list[Path] = []
    folders: dict[Path, list[Path]] = {}
    for path in source.rglob("*"):
        # macOS puts a hidden file ``._a.mp4`` of its own beside an ``a.mp4``.
        if any(part.startswith(".") for part in path.relative_to(source).parts) or not path.is_file():
            continue
        if path.suffix.lower() in FILMS:
            films.append(path)
        elif path.suffix.lower() in PICTURES:
            folders.setdefault(path.parent, []).append(path)
    found = [_film(path, _name(path, source)) for path in films]
    found += [_folder(pictures, _name(path, source)) for path, pictures in folders.items()]
    if not found:
        raise DataError(
            f"{source} holds no films: expected are *{', *'.join(FILMS)}, or folders of "
            f"*{', *'.join(PICTURES)}"
        )
    return sorted(found, key=lambda episode: natural_order(episode.name))


def decode_film(path: Path, first: float = 0.0) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
    """Every picture of a film once, in its full size.

    Args:
        path: the film.
        first: seconds from its begin; pictures before are left out.

    Raises:
        DataError: it is no readable film, or is damaged somewhere; pictures may have been given before.
    """
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error"]
    command += ["-ss", f"{first:.6f}"] if first > 0 else []
    command += [
        "-i",
        str(path),
        "-map",
        "0:v:0",
        "-fps_mode",
        "passthrough",
        "-f",
        "image2pipe",
        "-c:v",
        "ppm",
    ]
    command += ["-pix_fmt", "rgb24", "-"]
    with TemporaryFile() as complaints:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=complaints
        )
        assert process.stdout is not None
        finished, count = False, 0
        try:
            while (picture := _read_ppm(process.stdout)) is not None:
                count += 1
                yield picture
            finished = True
        finally:
            if not finished:
                process.kill()
            process.stdout.close()
            status = process.wait()
        # ffmpeg ends well after a film that was cut off, or with pictures that it had to make up.
        complaints.seek(0)
        said = complaints.read()
        if status or said or not count:
            raise DataError(f"{path.name} is no readable film: {_first_complaint(said, path)}")


def _first_complaint(said: bytes, path: Path) -> str:
    """What ffmpeg says first, without what differs between machines and runs: addresses, folders."""
    lines = said.decode(errors="replace").splitlines() or ["it has no pictures"]
    return re.sub(r"\[[^]]* @ 0x[0-9a-f]+] *", "", lines[0]).replace(str(path), path.name).strip()


def _read_ppm(stream: IO[bytes]) -> UInt8[np.ndarray, "H W 3"] | None:
    """The next picture of a stream of PPM files as ffmpeg writes them; None at its end."""
    header = [stream.readline() for _ in range(3)]
    if not header[2]:
        return None
    width, height = map(int, header[1].split())
    content = stream.read(3 * width * height)
    if len(content) < 3 * width * height:
        return None
    return np.frombuffer(content, np.uint8).reshape(height, width, 3)


def film_pictures(path: Path, first: float = 0.0, count: int | None = None) -> Iterator[Draw]:
    """Pictures of a film from a time on, at most ``count``. Raises likewise."""
    for picture in islice(decode_film(path, first), count):
        yield partial(np.asarray, picture)


def _film(path: Path, name: str) -> Episode:
    def steps() -> Iterator[Step]:
        return map(Step, film_pictures(path))

    return Episode(name, steps, [path], path.stat().st_size // BYTES)


def _folder(pictures: list[Path], name: str) -> Episode:
    ordered = sorted(pictures, key=lambda path: natural_order(path.name))

    def draw(path: Path) -> np.ndarray:
        try:
            return decode_picture(path.read_bytes())
        except DataError as error:
            raise DataError(f"{path.name}: {error}") from error

    def steps() -> Iterator[Step]:
        return (Step(partial(draw, path)) for path in ordered)

    return Episode(name, steps, ordered, len(ordered))


def _name(path: Path, source: Path) -> str:
    """A path as seen from the source; the source's own name for itself."""
    return source.name if path == source else path.relative_to(source).as_posix()
