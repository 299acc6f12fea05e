"""Windows of recordings that users bring, written as shards with the test split last."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tqdm import tqdm

from envs.owned.windows import Windows
from envs.videos.agents import to_sequences
from world_models.data import DataError, Scalar, read_attributes, shard_path, write_shard

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
    """Where one shard comes from (some of its attributes), and how to read it."""

    origin: dict[str, Scalar]
    read: Callable[[], Windows]


def write_shards(out: Path, environment: str, frames: int, shards: Sequence[Shard]) -> Summary:
    """Write what is missing, and sum up what is there; the test split must come last.

    Raises:
        DataError: nothing is left, or ``out`` holds something else.
    """
    if frames < 2:
        raise DataError(f"windows must have at least 2 frames, got {frames}")
    made: list[dict[str, Scalar]] = []
    for index, shard in enumerate(tqdm(shards, desc=environment, unit="shard")):
        path = shard_path(out, index)
        origin = {"environment": environment, "version": VERSION, "frames": frames} | shard.origin
        if not path.exists():
            windows = shard.read()
            sequences = to_sequences(windows.frames, windows.positions)
            if windows.actions is not None:
                sequences = replace(sequences, actions=windows.actions)
            write_shard(path, sequences, origin | windows.attributes())
        made.append(read_attributes(path))
        if {name: made[-1].get(name) for name in origin} != origin:
            raise DataError(f"{path} was made from something else than {origin}; choose another --out")
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


def find_files(folder: Path, *suffixes: str) -> list[Path]:
    """All files in a folder and its folders with one of the suffixes, by name."""
    return sorted(path for path in folder.rglob("*") if path.suffix in suffixes)
