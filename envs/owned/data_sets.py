"""Data that users bring, as data sets."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from envs.data_set import DataSet
from envs.owned.shards import Summary


@dataclass(frozen=True)
class Basketball:
    """Basketball recordings or tracks that you have, cut into windows."""

    source: Path
    """Folder of *.npz or *.npy files; those with "test" in their names come last."""
    out: Path = Path("data/basketball")
    """Folder of the shards."""
    frames: int = 20
    """Length of a window."""
    court: tuple[float, float, float] = (0.0, 0.0, 50.0)
    """The square that pictures of tracks show: x and y of its lower left corner, and its side."""


@dataclass(frozen=True)
class Human36m:
    """Human3.6M videos that you have, at 6.25 frames per second and cut into windows."""

    source: Path
    """Folder with the folders S1, S5, S6, S7, S8 and, for testing, S9, S11."""
    out: Path = Path("data/human36m")
    """Folder of the shards."""
    frames: int = 20
    """Length of a window."""


@dataclass(frozen=True)
class Kth:
    """KTH action videos that you have, shrunk to 64 x 64 grey pixels and cut into windows."""

    source: Path
    """Folder of person01_boxing_d1_uncomp.avi and so on, and 00sequences.txt if you have it."""
    out: Path = Path("data/kth")
    """Folder of the shards."""
    frames: int = 40
    """Length of a window: 10 frames seen and 30 generated."""


@dataclass(frozen=True)
class Bair:
    """BAIR robot pushing records that you have, with actions."""

    source: Path
    """The folder softmotion30_44k, with its folders train and test of *.tfrecords."""
    out: Path = Path("data/bair")
    """Folder of the shards."""
    frames: int = 30
    """Length of a window; records have 30 frames."""


def _read(collect: Callable[[Any], Summary]) -> Callable[[Any], None]:
    """Write every shard that is not there yet, and say what there is."""

    def read(settings: Any) -> None:
        found = collect(settings)
        tqdm.write(
            f"{found.sequences} sequences in {settings.out}, of which the last {found.test} are for testing"
        )
        if found.left_out:
            tqdm.write(f"{found.left_out} windows were left out because a body leaves the picture")

    return read


def _basketball(settings: Basketball) -> Summary:
    from envs.owned.basketball import collect_basketball

    return collect_basketball(settings.source, settings.out, settings.frames, settings.court)


def _human36m(settings: Human36m) -> Summary:
    from envs.owned.human36m import collect_human36m

    return collect_human36m(settings.source, settings.out, settings.frames)


def _kth(settings: Kth) -> Summary:
    from envs.owned.kth import collect_kth

    return collect_kth(settings.source, settings.out, settings.frames)


def _bair(settings: Bair) -> Summary:
    from envs.owned.bair import collect_bair

    return collect_bair(settings.source, settings.out, settings.frames)


# Their settings have no default source: nobody else can know where the data lies.
BASKETBALL = DataSet("basketball", Basketball, _read(_basketball))
HUMAN36M = DataSet("human36m", Human36m, _read(_human36m))
KTH = DataSet("kth", Kth, _read(_kth))
BAIR = DataSet("bair", Bair, _read(_bair))
