"""Recordings of others as they lie on disk: npz files with pictures, tracks of bodies, videos.

Which files make up a data set is said in :mod:`envs.owned.shards`.
"""

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import imageio_ffmpeg
import numpy as np
from jaxtyping import Float, Float32, UInt8
from numpy.typing import NDArray

from envs.videos.agents import BODIES, SIZE, draw_pictures
from world_models.data import SEQUENCES_OF_EPISODES, DataError, Scalar

FRAME_RATE = 6.25
"""Frames per second that are taken from a video, as in the paper."""


@dataclass(frozen=True)
class Windows:
    """n windows, or one recording without the first axis.

    Attributes:
        positions: of J bodies with D coordinates; J is 0 where nothing is known.
        bodies: names of the bodies. Coordinates count as x and y in the picture if D is 2.
        left_out: windows that are not there because a body leaves the picture.
        actions: what led from frame to frame; None where nobody acts.
        recordings: how many windows each recording gave, in order.
        rewards: received on arriving at each frame; None where nothing is rewarded.
        notes: further attributes of the shard.
    """

    frames: UInt8[np.ndarray, "*n T H W C"]
    positions: Float[np.ndarray, "*n T J D"]
    bodies: tuple[str, ...]
    left_out: int = 0
    actions: Float32[np.ndarray, "*n T-1 A"] | None = None
    recordings: tuple[int, ...] = ()
    rewards: Float32[np.ndarray, "*n T"] | None = None
    notes: Mapping[str, Scalar] = field(default_factory=dict)

    def attributes(self) -> dict[str, Scalar]:
        """How the states of a shard are to be read, and what it holds."""
        flat = self.positions.shape[-1] == 2
        return {
            "observation": 0 if flat else self.positions.shape[-1] * len(self.bodies),
            "bodies": ",".join(self.bodies) if flat else "",
            "left_out": self.left_out,
            "sequences": len(self.frames),
            SEQUENCES_OF_EPISODES: ",".join(map(str, self.recordings)),
            **self.notes,
        }


def read_windows(paths: Sequence[Path], frames: int) -> Windows:
    """Consecutive windows of recordings; a rest that fills none is dropped."""
    recordings = [_read_video(path) if path.suffix == ".mp4" else _read_pictures(path) for path in paths]
    kinds = {recording.positions.shape[1:] for recording in recordings}
    if len(kinds) > 1:
        raise DataError(f"{paths[0]} and the files after it differ in `true_object_pos`: {sorted(kinds)}")
    return Windows(
        np.concatenate([cut(recording.frames, frames) for recording in recordings]),
        np.concatenate([cut(recording.positions, frames) for recording in recordings]),
        recordings[0].bodies,
        recordings=tuple(len(recording.frames) // frames for recording in recordings),
    )


def cut(array: NDArray[Any], frames: int) -> NDArray[Any]:
    """``[T, ...]`` as windows ``[n, frames, ...]``; a rest that fills none is dropped."""
    n = len(array) // frames
    return array[: n * frames].reshape(n, frames, *array.shape[1:])


def _read_pictures(path: Path) -> Windows:
    arrays = _load(path)
    if "image" not in arrays:
        raise DataError(f"{path} lacks `image`; it holds {', '.join(arrays) or 'nothing'}")
    image = arrays["image"]
    if image.dtype != np.uint8 or image.shape[1:] != (SIZE, SIZE, 3):
        raise DataError(f"`image` of {path} must be uint8 [T, 64, 64, 3], got {image.dtype} {image.shape}")
    positions = arrays.get("true_object_pos", np.zeros((len(image), 0, 2)))
    if positions.ndim != 3 or len(positions) != len(image) or positions.shape[-1] not in (2, 3):
        raise DataError(f"`true_object_pos` of {path} must be [T, N, 2 or 3], got {positions.shape}")
    return Windows(image, positions, tuple(f"object-{k + 1}" for k in range(positions.shape[1])))


def _read_video(path: Path) -> Windows:
    """The middle square of a video at 6.25 frames per second."""
    frames = decode_video(path, f"crop='min(iw,ih)':'min(iw,ih)',fps={FRAME_RATE}")
    return Windows(frames, np.zeros((len(frames), 0, 2)), ())


def decode_video(path: Path, filters: str = "null", colours: int = 3) -> UInt8[np.ndarray, "T 64 64 C"]:
    """The pictures of a video after ffmpeg's filters, shrunk to 64 x 64 pixels, in colour (3) or grey (1).

    Raises:
        DataError: it is no readable video.
    """
    scaled = f"{filters},scale={SIZE}:{SIZE}:flags=area"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path), "-vf", scaled]
    command += ["-f", "rawvideo", "-pix_fmt", "gray" if colours == 1 else "rgb24", "-"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True)
    if done.returncode:
        raise DataError(f"{path} is no readable video: {done.stderr.decode(errors='replace').strip()}")
    return np.frombuffer(done.stdout, np.uint8).reshape(-1, SIZE, SIZE, colours)


@lru_cache(maxsize=1)
def read_tracks(path: Path) -> Float[np.ndarray, "n T 6 2"]:
    """Positions of five players and the ball on the court."""
    if path.suffix == ".npz":
        arrays = _load(path)
        if "data" not in arrays:
            raise DataError(
                f"{path} has neither `image` nor `data`; it holds {', '.join(arrays) or 'nothing'}"
            )
        tracks = arrays["data"]
    else:
        tracks = _load(path)[""]
    if tracks.ndim != 3 or tracks.shape[-1] not in (12, 22) or tracks.dtype.kind != "f":
        raise DataError(
            f"tracks in {path} must be floats [n, T, 12 or 22], got {tracks.dtype} {tracks.shape}"
        )
    positions = tracks.reshape(*tracks.shape[:2], -1, 2)
    ball_first = tracks.shape[-1] == 22
    return positions[:, :, [1, 2, 3, 4, 5, 0]] if ball_first else positions


def draw_windows(path: Path, part: slice, frames: int, court: tuple[float, float, float]) -> Windows:
    """Pictures of some tracks, without windows in which a body leaves the picture."""
    left, bottom, side = court
    tracks = read_tracks(path)[part]
    windows = np.concatenate([cut(track, frames) for track in tracks])
    origins = np.repeat(np.arange(len(tracks)), tracks.shape[1] // frames)
    share = (windows - (left, bottom)) / side
    share[..., 1] = 1.0 - share[..., 1]
    inside = ((share >= 0) & (share <= 1)).all((1, 2, 3))
    positions = share[inside] * SIZE - 0.5
    kept = np.bincount(origins[inside], minlength=len(tracks))
    return Windows(
        draw_pictures(positions),
        positions,
        BODIES,
        int((~inside).sum()),
        recordings=tuple(kept.tolist()),
    )


def array_names(path: Path) -> list[str]:
    """Names of the arrays in an npz file."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return list(file.files)
    except (OSError, ValueError, TypeError, BadZipFile) as error:
        raise DataError(f"{path} is no readable npz file: {error}") from error


def _load(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of an npz file by name, or the one of an npy file under an empty name."""
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {"": loaded}
        with loaded:
            return dict(loaded)
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise DataError(f"{path} is no readable numpy file: {error}") from error
