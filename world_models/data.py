"""The episode format on disk: a data set is a folder of HDF5 shards of equally long sequences.

``shard-00000.h5``, ``shard-00001.h5``, ... each hold four or five arrays and a few attributes:

=============  =================  ==========================================================
``frames``     uint8 n T H W C    pictures; one gzip chunk per sequence
``actions``    float32 n T-1 A    mean action between two saved frames
``keyframes``  bool n T           True on frames where a subgoal was just finished
``states``     float32 n T S      true states, for evaluation only: models never see them
``rewards``    float32 n T        reward on arriving at a frame; only where there are rewards
attributes     JSON scalars       environment id, seed, first index, version, ...
=============  =================  ==========================================================
"""

import bisect
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from world_models.files import written_whole
from world_models.jobs.identity import canonical

Scalar = str | int | float | bool

SHARD_PATTERN = "shard-*.h5"


class DataError(ValueError):
    """A data set, shard or batch of sequences is missing or malformed."""


@dataclass(frozen=True)
class Sequences:
    """A batch of recorded sequences; ``actions[:, t]`` leads from frame ``t`` to frame ``t + 1``.

    Raises:
        DataError: an array has the wrong type, or the shapes do not fit each other.
    """

    frames: UInt8[np.ndarray, "n T H W C"]
    actions: Float32[np.ndarray, "n T-1 A"]
    keyframes: Bool[np.ndarray, "n T"]
    states: Float32[np.ndarray, "n T S"]
    rewards: Float32[np.ndarray, "n T"] | None = None
    """``rewards[:, t]`` was received on arriving at frame ``t``; None where nothing is rewarded."""

    def __post_init__(self) -> None:
        expected = {"frames": ("uint8", 5), "actions": ("float32", 3)}
        expected |= {"keyframes": ("bool", 2), "states": ("float32", 3), "rewards": ("float32", 2)}
        for name, array in self.arrays().items():
            dtype, axes = expected[name]
            if array.dtype != dtype or array.ndim != axes:
                raise DataError(
                    f"{name} must be {dtype} with {axes} axes, got {array.dtype} with shape {array.shape}"
                )
        n, steps = self.frames.shape[:2]
        for name, array in self.arrays().items():
            leading = (n, steps - 1 if name == "actions" else steps)
            if array.shape[:2] != leading:
                raise DataError(
                    f"{name} must begin with {leading} to fit frames {self.frames.shape}, got {array.shape}"
                )

    def __len__(self) -> int:
        return len(self.frames)

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays by name, without rewards where there are none."""
        names = FIELDS if self.rewards is None else (*FIELDS, REWARDS)
        return {name: getattr(self, name) for name in names}


FIELDS = ("frames", "actions", "keyframes", "states")
"""The arrays that every shard holds."""
REWARDS = "rewards"
SEQUENCES_OF_EPISODES = "sequences_of_episodes"
"""Attribute that says how many consecutive sequences each episode gave, such as ``11,11,11``. Without it
every sequence is of an episode of its own."""
IDENTITY = "identity"
"""Attribute with all attributes that the content depends on, as JSON."""


def shard_path(folder: Path, index: int) -> Path:
    """Path of shard number ``index``: ``folder/shard-00007.h5``."""
    return folder / f"shard-{index:05d}.h5"


def write_shard(
    path: Path,
    sequences: Sequences,
    attributes: Mapping[str, Scalar],
    identity: Mapping[str, Scalar] | None = None,
) -> None:
    """Write one shard whole or not at all; the same content gives the same bytes.

    Args:
        path: the file.
        sequences: its content.
        attributes: what it says of itself.
        identity: those of the attributes that its content depends on, by which it is known again; None if
            nobody takes it over.

    Raises:
        DataError: an attribute is no JSON scalar.
    """
    if identity is not None:
        attributes = {**attributes, **identity, IDENTITY: canonical(identity)}
    for name, value in attributes.items():
        if not isinstance(value, str | int | float | bool):
            raise DataError(
                f"attribute {name!r} must be a string, number or boolean, got {type(value).__name__}"
            )
    with written_whole(path) as temporary:
        # Time stamps are off, so equal content means equal bytes.
        with h5py.File(temporary, "w", track_order=False) as file:
            for name, array in sequences.arrays().items():
                packed = {"chunks": (1, *array.shape[1:]), "compression": "gzip", "compression_opts": 1}
                options = packed if name == "frames" and array.size else {}
                file.create_dataset(name, data=array, track_times=False, **options)
            for name in sorted(attributes):
                file.attrs[name] = attributes[name]
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())


def read_shard(path: Path) -> Sequences:
    """Read a whole shard into memory.

    Raises:
        DataError: the file is missing, is no HDF5 file or lacks an array.
    """
    with _open(path) as file:
        return Sequences(**{name: file[name][()] for name in _fields(file)})


def read_attributes(path: Path) -> dict[str, Scalar]:
    """Attributes of a shard as plain Python scalars.

    Raises:
        DataError: the file is missing, is no HDF5 file or lacks an array.
    """
    with _open(path) as file:
        return {
            n: value.item() if isinstance(value, np.generic) else value
            for n, value in file.attrs.items()
            if n != IDENTITY
        }


def read_identity(path: Path) -> dict[str, Scalar] | None:
    """The attributes that a shard's content depends on, as they were written; None if it does not say.

    Raises:
        DataError: the file is missing, is no HDF5 file or lacks an array.
    """
    with _open(path) as file:
        identity = file.attrs.get(IDENTITY)
    found: dict[str, Scalar] | None = None if identity is None else json.loads(identity)
    return found


def _fields(file: h5py.File) -> tuple[str, ...]:
    return (*FIELDS, REWARDS) if REWARDS in file else FIELDS


def _open(path: Path) -> h5py.File:
    if not path.is_file():
        raise DataError(f"no shard at {path}")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise DataError(f"{path} is no readable HDF5 shard: {error}") from error
    missing = [name for name in FIELDS if name not in file]
    if missing:
        file.close()
        raise DataError(f"{path} lacks {', '.join(missing)}; a shard holds {', '.join(FIELDS)}")
    return file


class SequenceDataset:
    """All shards of a folder as one long, ordered list of sequences, read on demand.

    ``len(dataset)`` counts sequences; ``dataset[10:20]`` reads ten of them as :class:`Sequences`;
    ``dataset[7]`` reads one (leading axis 1).

    Args:
        folder: where the shards lie; they are ordered by name.

    Raises:
        DataError: the folder is missing or has no shard, or shards disagree in shape.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise DataError(f"no data folder at {self.folder}; `python -m envs.collect` makes one")
        self.paths: Sequence[Path] = tuple(sorted(self.folder.glob(SHARD_PATTERN)))
        if not self.paths:
            raise DataError(f"{self.folder} has no {SHARD_PATTERN}; `python -m envs.collect` makes them")
        counts = []
        shapes: dict[str, tuple[int, ...]] = {}
        for path in self.paths:
            with _open(path) as file:
                counts.append(len(file["frames"]))
                found = {name: file[name].shape[1:] for name in _fields(file)}
            shapes = shapes or found
            if found != shapes:
                raise DataError(f"{path} holds {found}, but {self.paths[0].name} holds {shapes}")
        self.shapes = shapes
        self._ends = list(accumulate(counts))

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int | slice) -> Sequences:
        start, stop = self._bounds(index)
        parts: dict[str, list[np.ndarray]] = {name: [] for name in self.shapes}
        for path, first, last in self._pieces(start, stop):
            with _open(path) as file:
                for name in self.shapes:
                    parts[name].append(file[name][first:last])
        if not parts["frames"]:  # an empty range still has shapes and types
            return self._empty()
        return Sequences(**{name: np.concatenate(arrays) for name, arrays in parts.items()})

    def batches(self, size: int, start: int = 0, stop: int | None = None) -> Iterator[Sequences]:
        """Consecutive ranges of at most ``size`` sequences from ``start`` up to ``stop`` (default: all)."""
        end = len(self) if stop is None else min(stop, len(self))
        for first in range(start, end, size):
            yield self[first : min(first + size, end)]

    def start_of_last(self, count: int) -> int:
        """Index of the first of the last ``count`` sequences, which trainings hold out.

        Raises:
            DataError: there are not that many.
        """
        if not 1 <= count <= len(self):
            raise DataError(f"{self.folder} has {len(self)} sequences, {count} were asked for")
        return len(self) - count

    def known(self, held_out: int) -> int:
        """How many of the first sequences may be learned from when the last ``held_out`` are for testing:
        none of an episode that tests are taken from, whose sequences overlap or adjoin.

        Raises:
            DataError: nothing is left to learn from.
        """
        last = len(self) - held_out
        if last < 1:
            many = f"{self.folder} has {len(self)} sequences, but {held_out} are to be held out"
            raise DataError(f"{many}; hold out fewer")
        shard = bisect.bisect_right(self._ends, last)
        if shard == len(self.paths):
            return last
        begin = self._ends[shard - 1] if shard else 0
        counts = str(read_attributes(self.paths[shard]).get(SEQUENCES_OF_EPISODES, ""))
        starts = [*accumulate(map(int, filter(None, counts.split(","))), initial=begin)]
        known = starts[bisect.bisect_right(starts, last) - 1] if len(starts) > 1 else last
        if known < 1:
            many = f"the last {held_out} sequences of {self.folder} begin in its first episode"
            raise DataError(f"{many}: none is left to learn from; hold out fewer")
        return known

    def _bounds(self, index: int | slice) -> tuple[int, int]:
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            if step != 1:
                raise DataError(f"only ranges with step 1 can be read, got step {step}")
            return start, max(start, stop)
        if not -len(self) <= index < len(self):
            raise IndexError(f"sequence {index} of a data set of {len(self)}")
        start = index % len(self)
        return start, start + 1

    def _pieces(self, start: int, stop: int) -> Iterator[tuple[Path, int, int]]:
        """Shard paths with the local ranges that together make up ``start:stop``."""
        shard = bisect.bisect_right(self._ends, start)
        while start < stop:
            begin = self._ends[shard - 1] if shard else 0
            end = min(stop, self._ends[shard])
            if end > start:
                yield self.paths[shard], start - begin, end - begin
            start, shard = end, shard + 1

    def _empty(self) -> Sequences:
        dtypes = {"frames": np.uint8, "keyframes": np.bool_}
        empty: dict[str, Any] = {
            n: np.zeros((0, *shape), dtypes.get(n, np.float32)) for n, shape in self.shapes.items()
        }
        return Sequences(**empty)
