"""Data sets of Minari, read without it: HDF5, or a table of Arrow or Parquet per episode.

An episode of T observations has T - 1 actions and rewards; tables have one more row of them, which is void.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from envs.owned.sources.cameras import choose_camera
from envs.owned.sources.episode import Draw, Episode, Rows, Step, natural_order, to_steps
from envs.owned.sources.pictures import CHANNELS, decode_picture
from envs.owned.sources.spaces import encode_action
from envs.owned.sources.tables import arrow, read_table, to_array
from world_models.data import DataError

METADATA, MAIN = "metadata.json", "main_data.hdf5"
TABLES = ("arrow", "parquet")
ARRIVAL = "reward_on_arrival"
"""Info of our own exports: the reward received on arriving at each observation."""
REWARDED = "rewarded"
"""In the metadata of our own exports: whether rewards mean anything, since Minari wants some."""
PART = "_index_"
"""Comes before the number of a part of a tuple in HDF5."""


@dataclass(frozen=True)
class Layout:
    """What the episodes of a data set hold.

    Attributes:
        camera: the observation that is the picture, such as ``observations/pixels``.
        height, width: of the picture, followed by its channels if it has an axis for them.
        numbers: observations that are numbers, which become the state.
    """

    camera: str
    picture: tuple[int, ...]
    numbers: tuple[str, ...]
    action_space: spaces.Space[Any]
    rewarded: bool


def list_episodes(source: Path, camera: str | None) -> list[Episode]:
    """Episodes of a data set, by number.

    Raises:
        DataError: the folder is no such data set, or its observations are no pictures.
    """
    folder = source / "data" if (source / "data" / METADATA).is_file() else source
    try:
        metadata = json.loads((folder / METADATA).read_bytes())
        kind = str(metadata.get("data_format", "hdf5"))
        layout = _layout(source, metadata, camera)
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, DataError):
            raise
        why = f"{METADATA} is missing or broken ({error})"
        raise DataError(
            f"{source} is no data set of Minari: {why}; older ones are converted by `minari`"
        ) from error
    described = folder / METADATA
    if kind == "hdf5":
        return _in_hdf5(folder / MAIN, described, layout)
    if kind in TABLES:
        return _in_tables(folder, kind, described, layout)
    raise DataError(f"{source} is in the format {kind}; understood are hdf5, {', '.join(TABLES)}")


def _layout(source: Path, metadata: Mapping[str, Any], camera: str | None) -> Layout:
    leaves = _leaves("observations", json.loads(metadata["observation_space"]))
    pictures = [name for name, one in leaves.items() if _is_picture(one)]
    holds = ", ".join(f"{name} {one['type']} {one.get('shape', '')}".strip() for name, one in leaves.items())
    chosen = choose_camera(pictures, camera, f"{source}'s observations", holds)
    return Layout(
        chosen,
        tuple(leaves[chosen]["shape"]),
        tuple(name for name, one in leaves.items() if one["type"] == "Box" and name not in pictures),
        _parse_space(json.loads(metadata["action_space"])),
        bool(metadata.get(REWARDED, True)),
    )


def _leaves(name: str, space: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The parts of a space that have no parts, by path."""
    if space["type"] not in ("Dict", "Tuple"):
        return {name: space}
    parts = space["subspaces"]
    named = parts.items() if isinstance(parts, dict) else ((f"{PART}{k}", one) for k, one in enumerate(parts))
    return {path: leaf for key, part in named for path, leaf in _leaves(f"{name}/{key}", part).items()}


def _is_picture(space: Mapping[str, Any]) -> bool:
    shape = space.get("shape", [])
    coloured = len(shape) == 3 and (shape[-1] in CHANNELS or shape[0] in CHANNELS)
    return space["type"] == "Box" and space["dtype"] == "uint8" and (coloured or len(shape) == 2)


def _parse_space(space: Mapping[str, Any]) -> spaces.Space[Any]:
    match space["type"]:
        case "Box":
            dtype = np.dtype(space["dtype"])
            low, high = (np.asarray(space[end], dtype).reshape(space["shape"]) for end in ("low", "high"))
            return spaces.Box(low, high, tuple(space["shape"]), dtype.type)
        case "Discrete":
            return spaces.Discrete(space["n"], start=space.get("start", 0))
        case "MultiDiscrete":
            nvec = np.asarray(space["nvec"])
            return spaces.MultiDiscrete(nvec, start=np.asarray(space.get("start", 0 * nvec)))
        case "MultiBinary":
            return spaces.MultiBinary(space["n"])
    raise DataError(f"actions of the kind {space['type']} cannot be written as numbers")


def _in_hdf5(path: Path, described: Path, layout: Layout) -> list[Episode]:
    try:
        with h5py.File(path, "r") as file:
            counts = {name: int(group.attrs.get("total_steps", 0)) + 1 for name, group in file.items()}
    except OSError as error:
        raise DataError(f"{path} is no readable HDF5 file: {error}") from error
    return [
        Episode(name, partial(_steps_of_group, path, name, layout), [described, path], counts[name])
        for name in sorted(counts, key=natural_order)
    ]


def _steps_of_group(path: Path, name: str, layout: Layout) -> Iterator[Step]:
    with h5py.File(path, "r") as file:
        datasets: dict[str, h5py.Dataset] = {}
        file[name].visititems(
            lambda key, item: datasets.update({key: item} if hasattr(item, "shape") else {})
        )
        if missing := {layout.camera, "actions", "rewards", *layout.numbers} - set(datasets):
            raise DataError(f"it has no {', '.join(sorted(missing))}")
        pictures = datasets[layout.camera]
        numbers = {key: item[()] for key, item in datasets.items() if key in layout.numbers}
        infos = datasets.get(f"infos/{ARRIVAL}")
        # JPEG files are stored as rows of bytes, which have fewer axes than pictures.
        raw = len(pictures.shape) > len(layout.picture)
        drawn = (partial(_picture, pictures, number, raw) for number in range(len(pictures)))
        yield from _steps(
            drawn,
            len(pictures),
            layout,
            numbers,
            datasets["actions"][()],
            datasets["rewards"][()],
            None if infos is None else infos[()],
        )


def _in_tables(folder: Path, kind: str, described: Path, layout: Layout) -> list[Episode]:
    arrow()
    numbered = [path for path in folder.iterdir() if path.is_dir() and path.name.isdecimal()]
    found = []
    for path in sorted(numbered, key=lambda path: int(path.name)):
        files = sorted(path.glob(f"*.{kind}"))
        steps = partial(_steps_of_tables, files, layout)
        # What a table holds is not compressed.
        length = sum(file.stat().st_size for file in files) // (4 * int(np.prod(layout.picture)))
        found.append(Episode(f"episode_{path.name}", steps, [described, *files], length))
    if not found:
        raise DataError(f"{folder} has no folders 0, 1, ... with *.{kind}")
    return found


def _steps_of_tables(files: list[Path], layout: Layout) -> Iterator[Step]:
    if not files:
        raise DataError("its folder is empty")
    table = arrow().concat_tables([read_table(path) for path in files])
    if missing := {"observations", "actions", "rewards"} - set(table.column_names):
        raise DataError(f"it has no {', '.join(sorted(missing))}")
    pictures, count = _field(table, layout.camera), len(table)
    stored = arrow().types.is_binary(pictures.type)
    numbers = {name: to_array(_field(table, name)) for name in layout.numbers}
    drawn = (partial(_cell, pictures, number, stored, layout.picture) for number in range(count))
    actions, rewards = (to_array(table[name])[: count - 1] for name in ("actions", "rewards"))
    yield from _steps(drawn, count, layout, numbers, actions, rewards, None)


def _steps(
    pictures: Iterator[Draw],
    count: int,
    layout: Layout,
    numbers: Mapping[str, NDArray[Any]],
    actions: NDArray[Any],
    rewards: NDArray[Any],
    arrivals: NDArray[Any] | None,
) -> Iterator[Step]:
    """Steps of an episode of ``count`` observations."""
    shape = layout.action_space.shape or ()
    taken = [encode_action(layout.action_space, row.reshape(shape)) for row in np.asarray(actions)]
    parts = [np.asarray(numbers[name]).reshape(count, -1) for name in layout.numbers]
    rows = Rows(
        np.stack(taken) if taken else None,
        rewards if layout.rewarded else None,
        np.concatenate(parts, axis=1) if parts else None,
        arrivals if layout.rewarded else None,
    )
    yield from to_steps(pictures, count, rows)


def _picture(pictures: h5py.Dataset, number: int, raw: bool) -> NDArray[Any]:
    found = np.asarray(pictures[number])
    return found if raw else decode_picture(found.astype(np.uint8).tobytes())


def _field(table: Any, path: str) -> Any:
    """A column of a table, or a part of one."""
    first, *parts = path.split("/")
    found = table[first].combine_chunks()
    for part in parts:
        found = found.field(part.removeprefix(PART))
    return found


def _cell(pictures: Any, number: int, stored: bool, shape: tuple[int, ...]) -> NDArray[Any]:
    if stored:
        return decode_picture(pictures[number].as_py())
    return np.asarray(pictures[number].values, np.uint8).reshape(shape)
