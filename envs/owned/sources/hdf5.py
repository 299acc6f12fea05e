"""Episodes in HDF5: a group for each, as robomimic and its kin write them, a file for each, or one after the
other in long arrays that say where episodes end.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from envs.owned.sources.cameras import choose_camera
from envs.owned.sources.episode import Draw, Episode, Rows, Step, natural_order, to_steps
from world_models.data import DataError

FILES = (".h5", ".hdf5")
ACTIONS, REWARDS, STATES = ("actions", "action"), ("rewards", "reward"), ("states", "state")
"""Names that are looked for where none is given."""
NEXT = "next_obs/"
"""robomimic stores the pictures of the following step once more."""
BLOCK = 64
"""Pictures that are read at once."""


@dataclass(frozen=True)
class Names:
    """Which data set of an episode holds what; None looks for the usual names.

    Attributes:
        episode_ends: data set of the file with the row after every episode's last one.
    """

    camera: str | None = None
    actions: str | None = None
    rewards: str | None = None
    states: str | None = None
    episode_ends: str | None = None


@dataclass(frozen=True)
class Part:
    """Where an episode lies: its data sets by name, and which rows of them are its own."""

    file: Path
    datasets: Mapping[str, str]
    camera: str
    rows: Mapping[str, str | None]
    first: int
    last: int | None

    def steps(self) -> Iterator[Step]:
        """The episode. Raises DataError or OSError where it cannot be read."""
        with h5py.File(self.file, "r") as file:
            if self.camera not in self.datasets:
                raise DataError(f"it has no {self.camera}")
            pictures = file[self.datasets[self.camera]]
            last = len(pictures) if self.last is None else self.last
            numbers = {kind: self._rows(file, name) for kind, name in self.rows.items()}
            yield from to_steps(_blocks(pictures, self.first, last), last - self.first, Rows(**numbers))

    def _rows(self, file: h5py.File, name: str | None) -> NDArray[Any] | None:
        if name is None:
            return None
        if name not in self.datasets:
            raise DataError(f"it has no {name}")
        found = file[self.datasets[name]][self.first : self.last]
        return np.asarray(found)


def list_episodes(source: Path, names: Names) -> list[Episode]:
    """Episodes of one file, or of all HDF5 files in a folder.

    Raises:
        DataError: there are none, or a data set that was asked for is not there.
    """
    files = [source] if source.is_file() else [p for p in source.rglob("*") if p.suffix.lower() in FILES]
    files = sorted(files, key=lambda path: natural_order(path.as_posix()))
    if not files:
        raise DataError(f"{source} holds no *.h5 or *.hdf5")
    several = len(files) > 1
    return [episode for path in files for episode in _episodes(path, names, several)]


def _episodes(path: Path, names: Names, several: bool) -> list[Episode]:
    """Episodes of a file; one that cannot be opened is an episode that cannot be read."""
    prefix = path.stem if several else ""
    try:
        with h5py.File(path, "r") as file:
            shapes = _datasets(file)
            ends = _ends(file, names)
    except OSError as error:
        return [Episode(path.stem, partial(_refuse, f"no readable HDF5 file: {error}"), [path])]
    parts: dict[str, tuple[Mapping[str, str], int, int | None]]
    if ends is not None:
        own = {name: name for name in shapes}
        parts = {f"episode-{number:05d}": (own, first, last) for number, (first, last) in enumerate(ends)}
    else:
        parts = {name: (datasets, 0, None) for name, datasets in _by_group(shapes).items()}
    example = next((datasets for datasets, _, _ in parts.values()), {})
    camera, rows = _choose(path, example, shapes, names)
    found = []
    for name, (datasets, first, last) in parts.items():
        label = "/".join(part for part in (prefix, name) if part) or path.stem
        length = (
            last - first if last is not None else shapes[datasets[camera]][0][0] if camera in datasets else 0
        )
        found.append(Episode(label, Part(path, datasets, camera, rows, first, last).steps, [path], length))
    return found


Shapes = dict[str, tuple[tuple[int, ...], np.dtype[Any]]]


def _datasets(file: h5py.File) -> Shapes:
    """Shape and type of every data set, by path."""
    found: Shapes = {}

    def visit(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item.shape or (), item.dtype

    file.visititems(visit)
    return found


def _by_group(shapes: Shapes) -> dict[str, dict[str, str]]:
    """Data sets of every episode: a group whose name ends with a number, or the whole file if none does."""
    found: dict[str, dict[str, str]] = {}
    for path in shapes:
        parts = path.split("/")
        depth = next((k for k, part in enumerate(parts[:-1], 1) if part[-1] in "0123456789"), 0)
        found.setdefault("/".join(parts[:depth]), {})["/".join(parts[depth:])] = path
    if len(found) > 1:
        found.pop("", None)
    return {name: found[name] for name in sorted(found, key=natural_order)}


def _ends(file: h5py.File, names: Names) -> list[tuple[int, int]] | None:
    """First row and row after the last of every episode; None where the file does not say."""
    name = names.episode_ends or "episode_ends"
    if not isinstance(found := file.get(name), h5py.Dataset):
        if names.episode_ends is not None:
            raise DataError(f"{file.filename} has no {name}: it holds {_describe(_datasets(file))}")
        return None
    ends = np.asarray(found).ravel()
    if ends.dtype.kind not in "iu" or not len(ends) or (np.diff(ends, prepend=0) <= 0).any():
        raise DataError(f"{name} of {file.filename} must be whole numbers that grow from one to the next")
    return list(zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True))


def _choose(
    path: Path, datasets: Mapping[str, str], shapes: Shapes, names: Names
) -> tuple[str, dict[str, str | None]]:
    """The data set of pictures, and those of numbers by what they are."""
    here = {name: shapes[datasets[name]] for name in datasets}
    pictures = [name for name, (shape, _) in here.items() if len(shape) == 4 and not name.startswith(NEXT)]
    camera = choose_camera(pictures, names.camera, str(path), _describe(here))
    rows: dict[str, str | None] = {}
    for kind, given, usual in (
        ("actions", names.actions, ACTIONS),
        ("rewards", names.rewards, REWARDS),
        ("states", names.states, STATES),
    ):
        if given is not None and given not in here:
            raise DataError(f"{path} has no {given} for --{kind}: it holds {_describe(here)}")
        rows[kind] = given or next((name for name in usual if name in here), None)
    return camera, rows


def _describe(shapes: Shapes) -> str:
    return ", ".join(f"{name} {list(shape)} {dtype}" for name, (shape, dtype) in sorted(shapes.items()))


def _blocks(pictures: h5py.Dataset, first: int, last: int) -> Iterator[Draw]:
    """Pictures one by one, read in blocks: they may be compressed together."""
    for start in range(first, last, BLOCK):
        block: Sequence[NDArray[Any]] = pictures[start : min(start + BLOCK, last)]
        for picture in block:
            yield partial(np.asarray, picture)


def _refuse(why: str) -> Iterator[Step]:
    raise DataError(why)
