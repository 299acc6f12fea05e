"""Stochastic Moving Digits: one or two digits that fly straight and bounce off walls in random directions.

The generator of Stochastic Moving MNIST (Denton and Fergus 2018, section 4.2, and their public code): 64 x 64
pixels, digits of 32 x 32 that start anywhere inside, -4 to 4 whole pixels per frame on each axis. A digit
that would leave the picture is put on its edge and gets a new velocity: 1 to 4 away from the wall, -4 to 4
along it. Digits that overlap are added up. What they look like is from :mod:`envs.videos.digits`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Int, UInt8

from envs.videos import digits
from envs.videos.digits import Split, digits_file, load_digits
from world_models.data import Scalar, Sequences
from world_models.jobs.identity import file_digest

Shared = Literal["nothing", "start", "path"]

SIZE = 64
ROOM = SIZE - digits.SIZE
"""Upper left corners of digits are at 0..31 on both axes; as with the authors, the last row and column of
pixels stay black."""
SPEED = 4
"""Greatest velocity on an axis in pixels per frame."""


@dataclass(frozen=True)
class Videos:
    """Which videos are drawn. Videos that differ in ``frames`` only have the same beginnings.

    Attributes:
        split: whether training or test digits fly; their flights differ too.
        count: how many digits there are in a video.
        frames: length T.
        shared: what all videos of a data set have in common, though their digits differ: nothing; the start
            (positions, and velocities up to the first wall; Fig. 5 of the paper); or the whole path (Fig. 6).
        mnist: folder of MNIST's files; None for the bundled digits.
    """

    split: Split = "train"
    count: Literal[1, 2] = 2
    frames: int = 25
    shared: Shared = "nothing"
    mnist: Path | None = None

    def origin(self) -> dict[str, Scalar]:
        """The attributes of shards of these videos."""
        return {
            "split": self.split,
            "frames": self.frames,
            "shared": self.shared,
            "digits": "scikit-learn" if self.mnist is None else "mnist",
            "digits_sha256": file_digest(digits_file(self.split, self.mnist)),
            "bodies": ",".join(f"digit-{number}" for number in range(1, self.count + 1)),
            "observation": self.count,
        }


@dataclass(frozen=True)
class Paths:
    """One video's motion over T frames.

    Attributes:
        corners: upper left corners of the digits (x, y) in pixels.
        hits: True where a digit is put on the edge and gets a new velocity; the next frame is the first that
            shows it.
    """

    corners: Int[np.ndarray, "T N 2"]
    hits: Bool[np.ndarray, "T N"]


def draw_paths(start: np.random.Generator, bounces: np.random.Generator, count: int, frames: int) -> Paths:
    """Paths of ``count`` digits from where ``start`` puts them; new velocities are from ``bounces``."""
    positions = start.integers(ROOM, size=(count, 2))
    velocities = start.integers(-SPEED, SPEED, size=(count, 2), endpoint=True)
    corners = np.empty((frames, count, 2), dtype=np.int64)
    hits = np.zeros((frames, count), dtype=np.bool_)
    for time in range(frames):
        for number, position in enumerate(positions):
            # The authors look at y first. In a corner the second wall redraws the velocity off the first.
            for axis in (1, 0):
                if not 0 <= position[axis] < ROOM:
                    away = 1 if position[axis] < 0 else -1
                    position[axis] = min(max(position[axis], 0), ROOM - 1)
                    velocities[number] = bounces.integers(-SPEED, SPEED, size=2, endpoint=True)
                    velocities[number, axis] = away * bounces.integers(1, SPEED, endpoint=True)
                    hits[time, number] = True
        corners[time] = positions
        positions += velocities
    return Paths(corners, hits)


def draw_pictures(
    shapes: UInt8[np.ndarray, "N 32 32"], corners: Int[np.ndarray, "T N 2"]
) -> UInt8[np.ndarray, "T H W 1"]:
    """Digits at their corners, added up where they overlap; what is too bright is cut off."""
    light = np.zeros((len(corners), SIZE, SIZE), dtype=np.uint16)
    for picture, places in zip(light, corners.tolist(), strict=True):
        for shape, (x, y) in zip(shapes, places, strict=True):
            picture[y : y + digits.SIZE, x : x + digits.SIZE] += shape
    return np.minimum(light, 255).astype(np.uint8)[..., None]


def draw_video(videos: Videos, seed: int, index: int) -> tuple[UInt8[np.ndarray, "N 32 32"], Paths]:
    """Digits and motion of video ``index`` of the data set with this seed; depends on its arguments alone.

    Raises:
        DataError: a file of MNIST is missing or malformed.
    """
    known = load_digits(videos.split, videos.mnist)
    key = [seed, get_args(Split).index(videos.split)]
    own = np.random.default_rng([*key, index + 1])
    chosen = own.choice(len(known), videos.count, replace=False)
    common = np.random.default_rng([*key, 0])
    start = own if videos.shared == "nothing" else common
    bounces = common if videos.shared == "path" else own
    return known[chosen], draw_paths(start, bounces, videos.count, videos.frames)


def draw_sequences(videos: Videos, seed: int, first: int, count: int) -> Sequences:
    """Videos ``first`` to ``first + count - 1`` of the data set with this seed.

    The states are a column per digit that is 1 where it hits a wall (:class:`Paths`) and 0 elsewhere, then
    the middles (x, y) of their pictures in pixels. Keyframes are the frames in which any digit hits a wall.
    Nobody acts: actions have size 0.

    Raises:
        DataError: a file of MNIST is missing or malformed.
    """
    drawn = [draw_video(videos, seed, index) for index in range(first, first + count)]
    hits = np.stack([paths.hits for _, paths in drawn])
    middles = np.stack([paths.corners for _, paths in drawn]) + (digits.SIZE - 1) / 2
    states = np.concatenate([hits, middles.reshape(count, videos.frames, 2 * videos.count)], axis=-1)
    return Sequences(
        frames=np.stack([draw_pictures(shapes, paths.corners) for shapes, paths in drawn]),
        actions=np.zeros((count, videos.frames - 1, 0), dtype=np.float32),
        keyframes=np.logical_or.reduce(hits, axis=-1),
        states=states.astype(np.float32),
    )
