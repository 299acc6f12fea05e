"""Windows of recordings that users bring, written as shards with the test split last."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from tqdm import tqdm

from envs.data_set import check_made_with
from envs.owned.windows import Windows
from envs.videos.agents import to_sequences
from world_models.data import DataError, Scalar, read_attributes, shard_path, write_shard
from world_models.jobs.identity import file_digest, fingerprint

VERSION = 1
TRACKS, FILES = 100, 100
"""Tracks, or short recordings, per shard."""


@dataclass(frozen=True)
class Summary:
    """What a folder of shards holds.

    Attributes:
        sequences: windows in all.
        test: how many of them, the last ones, are of the test split.
        left_out: windows that are not there because a body leaves the picture.
    """

    sequences: int
    test: int
    left_out: int


@dataclass(frozen=True)
class Shard:
    """Where one shard comes from (some of its attributes), how to read it, and the files that are read.

    ``read`` answers None where nothing is left of them; then no file is written.
    """

    origin: dict[str, Scalar]
    read: Callable[[], Windows | None]
    files: Sequence[Path]


def write_shards(out: Path, environment: str, frames: int, shards: Sequence[Shard]) -> Summary:
    """Write what is missing, and sum up what is there; the test split must come last.

    Raises:
        DataError: nothing is left, or ``out`` holds something else.
    """
    made = write_missing(out, environment, frames, shards)
    counts = [int(attributes["sequences"]) for attributes in made]
    if not sum(counts):
        raise DataError(
            f"no window of {frames} frames is left: choose smaller --frames if recordings are shorter, "
            "or for tracks another --court if the bodies are never all in it"
        )
    return Summary(
        sequences=sum(counts),
        test=sum(n for n, attributes in zip(counts, made, strict=True) if attributes["split"] == "test"),
        left_out=sum(int(attributes["left_out"]) for attributes in made),
    )


def write_missing(
    out: Path, environment: str, frames: int, shards: Sequence[Shard]
) -> list[dict[str, Scalar]]:
    """Write the shards that are not there yet, and answer the attributes of all that are.

    Raises:
        DataError: ``out`` holds something else.
    """
    if frames < 2:
        raise DataError(f"windows must have at least 2 frames, got {frames}")
    made: list[dict[str, Scalar]] = []
    for index, shard in enumerate(tqdm(shards, desc=environment, unit="shard")):
        path = shard_path(out, index)
        origin = {"environment": environment, "version": VERSION, "frames": frames} | shard.origin
        origin["files_sha256"] = _digest(shard.files)
        if path.exists():
            check_made_with(path, origin)
        elif (windows := shard.read()) is not None:
            sequences = to_sequences(windows.frames, windows.positions)
            if windows.actions is not None:
                sequences = replace(sequences, actions=windows.actions)
            if windows.rewards is not None:
                sequences = replace(sequences, rewards=windows.rewards)
            write_shard(path, sequences, windows.attributes(), origin)
        if path.exists():
            made.append(read_attributes(path))
    return made


def find_files(folder: Path, *suffixes: str) -> list[Path]:
    """All files in a folder and its folders with one of the suffixes, by name.

    Hidden ones are none of them: macOS puts a file ``._a.npz`` of its own beside an ``a.npz``.
    """
    return sorted(
        path for path in folder.rglob("*") if path.suffix in suffixes and not path.name.startswith(".")
    )


def _digest(files: Sequence[Path]) -> str:
    """SHA-256 of all that is read for a shard."""
    return fingerprint({str(k): _file_digest(path, path.stat().st_mtime_ns) for k, path in enumerate(files)})


@lru_cache(maxsize=1024)
def _file_digest(path: Path, written: int) -> str:
    """SHA-256 of a file as it was written at that time; several shards may be of the same file."""
    return file_digest(path)
