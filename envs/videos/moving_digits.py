"""Stochastic Moving Digits: one or two digits that fly straight and bounce off walls in random directions.

The generator of Stochastic Moving MNIST (Denton and Fergus 2018, section 4.2, and their public code): 64 x 64
pixels, digits of 32 x 32 that start anywhere inside, -4 to 4 whole pixels per frame on each axis. A digit
that would leave the picture is put on its edge and gets a new velocity: 1 to 4 away from the wall, -4 to 4
along it. Digits that overlap are added up. What they look like is from :mod:`envs.videos.digits`, how they
fly from :mod:`envs.videos.digit_paths`.

The figures that others publish for SM-MNIST are for the variant of SRVP (Franceschi et al. 2020, *Stochastic
Latent Residual Video Prediction*, and their public code): MNIST's digits of 28 x 28 as they are, which bounce
within a frame. Its protocol: training videos of two training digits; 5,000 fixed videos of two test digits; 5
frames seen, 20 generated; the best of 100 samples by SSIM (Gaussian window of 11 pixels, sigma 1.5, data
range 1), and PSNR of the best. ``protocol="srvp"`` draws such videos; those of its
authors are other draws of the same law.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from jaxtyping import Int, UInt8

from envs.videos.digit_paths import DRAWN, PICTURE, Paths, Protocol
from envs.videos.digits import Split, digits_file, load_digits, load_mnist
from world_models.data import Scalar, Sequences
from world_models.jobs.identity import file_digest

Shared = Literal["nothing", "start", "path"]


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
        protocol: digits of 32 pixels as SVG's authors have them fly, or MNIST's own 28 as in SRVP.
    """

    split: Split = "train"
    count: Literal[1, 2] = 2
    frames: int = 25
    shared: Shared = "nothing"
    mnist: Path | None = None
    protocol: Protocol = "svg"

    def origin(self) -> dict[str, Scalar]:
        """The attributes of shards of these videos."""
        more: dict[str, Scalar] = {} if self.protocol == "svg" else {"protocol": self.protocol}
        return more | {
            "split": self.split,
            "frames": self.frames,
            "shared": self.shared,
            "digits": "scikit-learn" if self.mnist is None else "mnist",
            "digits_sha256": file_digest(digits_file(self.split, self.mnist)),
            "bodies": ",".join(f"digit-{number}" for number in range(1, self.count + 1)),
            "observation": self.count,
        }


def draw_pictures(
    shapes: UInt8[np.ndarray, "N side side"], corners: Int[np.ndarray, "T N 2"]
) -> UInt8[np.ndarray, "T H W 1"]:
    """Digits at their corners, added up where they overlap; what is too bright is cut off."""
    light = np.zeros((len(corners), PICTURE, PICTURE), dtype=np.uint16)
    for picture, places in zip(light, corners.tolist(), strict=True):
        for shape, (x, y) in zip(shapes, places, strict=True):
            picture[y : y + len(shape), x : x + len(shape)] += shape
    return np.minimum(light, 255).astype(np.uint8)[..., None]


def draw_video(videos: Videos, seed: int, index: int) -> tuple[UInt8[np.ndarray, "N side side"], Paths]:
    """Digits and motion of video ``index`` of the data set with this seed; depends on its arguments alone.

    Raises:
        DataError: a file of MNIST is missing or malformed.
    """
    if videos.protocol == "svg":
        known = load_digits(videos.split, videos.mnist)
    else:
        if videos.mnist is None:
            raise ValueError("the protocol srvp is about MNIST's digits: name their folder")
        known = load_mnist(videos.split, videos.mnist)
    key = [seed, get_args(Split).index(videos.split)]
    own = np.random.default_rng([*key, index + 1])
    chosen = own.choice(len(known), videos.count, replace=False)
    common = np.random.default_rng([*key, 0])
    start = own if videos.shared == "nothing" else common
    bounces = common if videos.shared == "path" else own
    return known[chosen], DRAWN[videos.protocol](start, bounces, videos.count, videos.frames)


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
    middles = np.stack([paths.corners for _, paths in drawn]) + (drawn[0][0].shape[-1] - 1) / 2
    states = np.concatenate([hits, middles.reshape(count, videos.frames, 2 * videos.count)], axis=-1)
    return Sequences(
        frames=np.stack([draw_pictures(shapes, paths.corners) for shapes, paths in drawn]),
        actions=np.zeros((count, videos.frames - 1, 0), dtype=np.float32),
        keyframes=np.logical_or.reduce(hits, axis=-1),
        states=states.astype(np.float32),
    )
