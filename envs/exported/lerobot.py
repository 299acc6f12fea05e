"""Data sets of LeRobot, version 2.1: a table and a film for every sequence, which becomes an episode."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.exported.folder import check_rate, each, whole_folder, write_film
from envs.owned.sources.lerobot import ACTION, ARRIVAL, CHUNK, EPISODES, INFO, NUMBER, REWARD, STATE
from envs.owned.sources.tables import arrow
from world_models.data import SequenceDataset, Sequences

CAMERA = "observation.images.camera"
TABLE = "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
FILM = "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"
TASK = "recorded"
"""What the only task is called; no language goes with our data."""
Columns = dict[str, NDArray[Any]]


def export_lerobot(data: SequenceDataset, out: Path, fps: float) -> None:
    """Write the folders ``meta``, ``data`` and ``videos``.

    Every picture has a row; the last action of an episode, which leads to no picture, is the one before it.

    Raises:
        DataError: pyarrow is missing, or pictures have odd sizes.
        ValueError: ``out`` holds something already or cannot be written, or ``fps`` is out of range.
    """
    arrow()
    check_rate(fps)
    listed, measured = [], []
    with whole_folder(out) as folder:
        for number, sequence in each(data):
            where = {"episode_chunk": number // CHUNK, "episode_index": number}
            columns = _columns(number, sequence, fps)
            _write_table(folder / TABLE.format(**where), columns)
            write_film(folder / FILM.format(video_key=CAMERA, **where), sequence.frames[0], fps)
            length = sequence.frames.shape[1]
            listed.append({NUMBER: number, "tasks": [TASK], "length": length})
            stats = {name: _statistics(column) for name, column in columns.items()}
            stats[CAMERA] = _picture_statistics(sequence.frames[0])
            measured.append({NUMBER: number, "stats": stats})
        (folder / "meta").mkdir()
        (folder / INFO).write_text(json.dumps(_info(data, columns, fps), indent=4))
        _write_lines(folder / EPISODES, listed)
        _write_lines(folder / "meta" / "episodes_stats.jsonl", measured)
        _write_lines(folder / "meta" / "tasks.jsonl", [{"task_index": 0, "task": TASK}])


def _columns(number: int, sequence: Sequences, fps: float) -> Columns:
    """What the table of an episode holds: an array ``[T]`` or ``[T, X]`` per column."""
    length = sequence.frames.shape[1]
    frames = np.arange(length)
    columns: Columns = {}
    if sequence.actions.shape[-1]:
        columns[ACTION] = np.concatenate([sequence.actions[0], sequence.actions[0, -1:]])
    if sequence.states.shape[-1]:
        columns[STATE] = sequence.states[0]
    if sequence.rewards is not None:
        columns[REWARD] = np.append(sequence.rewards[0, 1:], np.float32(0))
        columns[ARRIVAL] = sequence.rewards[0]
    # A vector of one number is a column of numbers in this format.
    columns = {name: column.reshape(length, -1) for name, column in columns.items()}
    columns = {name: column[:, 0] if column.shape[1] == 1 else column for name, column in columns.items()}
    return columns | {
        "next.done": frames == length - 1,
        "timestamp": (frames / fps).astype(np.float32),
        "frame_index": frames,
        NUMBER: np.full(length, number),
        "index": number * length + frames,
        "task_index": np.zeros(length, np.int64),
    }


def _write_table(path: Path, columns: Columns) -> None:
    pa = arrow()
    arrays = {}
    for name, column in columns.items():
        flat = pa.array(column.ravel())
        arrays[name] = flat if column.ndim == 1 else pa.FixedSizeListArray.from_arrays(flat, column.shape[1])
    path.parent.mkdir(parents=True, exist_ok=True)
    pa.parquet.write_table(pa.table(arrays), path)


def _info(data: SequenceDataset, columns: Columns, fps: float) -> dict[str, Any]:
    length, height, width, _ = data.shapes["frames"]
    film: dict[str, Any] = {
        "video.fps": fps,
        "video.height": height,
        "video.width": width,
        "video.channels": 3,
    }
    film |= {
        "video.codec": "h264",
        "video.pix_fmt": "yuv420p",
        "video.is_depth_map": False,
        "has_audio": False,
    }
    features: dict[str, Any] = {
        CAMERA: {
            "dtype": "video",
            "shape": [height, width, 3],
            "names": ["height", "width", "channels"],
            "info": film,
        }
    }
    for name, column in columns.items():
        features[name] = {"dtype": str(column.dtype), "shape": [*column.shape[1:]] or [1], "names": None}
    return {
        "codebase_version": "v2.1",
        "robot_type": "unknown",
        "total_episodes": len(data),
        "total_frames": len(data) * length,
        "total_tasks": 1,
        "total_videos": len(data),
        "total_chunks": -(-len(data) // CHUNK),
        "chunks_size": CHUNK,
        "fps": fps,
        "splits": {"train": f"0:{len(data)}"},
        "data_path": TABLE,
        "video_path": FILM,
        "features": features,
    }


def _statistics(column: NDArray[Any]) -> dict[str, list[Any]]:
    """Over the rows of an episode."""
    rows = column.reshape(len(column), -1)
    found = {"min": rows.min(0), "max": rows.max(0), "mean": rows.mean(0), "std": rows.std(0)}
    return {**{name: value.tolist() for name, value in found.items()}, "count": [len(rows)]}


def _picture_statistics(pictures: NDArray[np.uint8]) -> dict[str, list[Any]]:
    """Over the pixels of an episode, by channel, from 0 to 1, as ``[3, 1, 1]``."""
    coloured = np.broadcast_to(pictures, (*pictures.shape[:3], 3)).reshape(-1, 3) / 255
    found = _statistics(coloured)
    return {
        **{name: np.reshape(value, (3, 1, 1)).tolist() for name, value in found.items() if name != "count"},
        "count": [len(pictures)],
    }


def _write_lines(path: Path, entries: Sequence[Mapping[str, Any]]) -> None:
    path.write_text("".join(f"{json.dumps(entry)}\n" for entry in entries))
