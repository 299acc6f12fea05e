"""Data sets of Minari in HDF5, written without it: pictures are stored as they are."""

import json
import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from envs.exported.folder import each, whole_folder
from envs.owned.sources.minari import ARRIVAL, MAIN, METADATA, REWARDED
from world_models.data import REWARDS, SequenceDataset, Sequences

VERSION = "0.5.4"
"""The first version that reads pictures which are no JPEG files."""
PIXELS, STATE = "pixels", "state"


def export_minari(data: SequenceDataset, out: Path) -> None:
    """Write ``data/main_data.hdf5`` and ``data/metadata.json``; each sequence becomes an episode.

    Observations are a dictionary of ``pixels`` and, where states are known, ``state``. Actions lie in a box
    from -1 to 1 if all do, in one without limits if not.

    Raises:
        ValueError: ``out`` holds something already or cannot be written.
    """
    reach = 0.0
    with whole_folder(out) as folder:
        (folder / "data").mkdir()
        with h5py.File(folder / "data" / MAIN, "w") as file:
            for number, sequence in each(data):
                _write_episode(file.create_group(f"episode_{number}"), number, sequence)
                reach = max(reach, float(np.abs(sequence.actions).max(initial=0.0)))
        size = (folder / "data" / MAIN).stat().st_size / 1e6
        metadata = _metadata(data, out.name, size, 1.0 if reach <= 1 else np.inf)
        (folder / "data" / METADATA).write_text(json.dumps(metadata))


def _write_episode(group: h5py.Group, number: int, sequence: Sequences) -> None:
    steps = sequence.actions.shape[1]
    group.attrs["id"], group.attrs["total_steps"] = number, steps
    pictures = sequence.frames[0]
    options = {"chunks": (1, *pictures.shape[1:]), "compression": "gzip", "compression_opts": 1}
    _put(group, f"observations/{PIXELS}", pictures, **options)
    if sequence.states.shape[-1]:
        _put(group, f"observations/{STATE}", sequence.states[0])
    _put(group, "actions", sequence.actions[0])
    rewards = np.zeros(steps + 1, np.float32) if sequence.rewards is None else sequence.rewards[0]
    _put(group, "rewards", rewards[1:])
    if sequence.rewards is not None:
        _put(group, f"infos/{ARRIVAL}", rewards)
    _put(group, "terminations", np.zeros(steps, np.bool_))
    _put(group, "truncations", np.arange(steps) == steps - 1)


def _put(group: h5py.Group, name: str, array: np.ndarray, **options: Any) -> None:
    """Time stamps are off, so equal content means equal bytes."""
    group.create_dataset(name, data=array, track_times=False, **options)


def _metadata(data: SequenceDataset, name: str, size: float, limit: float) -> dict[str, Any]:
    steps, actions = data.shapes["actions"]
    observations = {PIXELS: _box("uint8", data.shapes["frames"][1:], 0, 255)}
    if states := data.shapes["states"][-1]:
        observations[STATE] = _box("float32", (states,), -np.inf, np.inf)
    return {
        "dataset_id": name if re.search(r"-v\d+$", name) else f"{name}-v0",
        "total_episodes": len(data),
        "total_steps": len(data) * steps,
        "data_format": "hdf5",
        "jpeg_encoding": False,
        "observation_space": json.dumps({"type": "Dict", "subspaces": observations}),
        "action_space": json.dumps(_box("float32", (actions,), -limit, limit)),
        "minari_version": VERSION,
        "dataset_size": round(size, 1),
        REWARDED: REWARDS in data.shapes,
    }


def _box(dtype: str, shape: tuple[int, ...], low: float, high: float) -> dict[str, Any]:
    ends = {"low": np.full(shape, low, dtype).tolist(), "high": np.full(shape, high, dtype).tolist()}
    return {"type": "Box", "dtype": dtype, "shape": list(shape), **ends}
