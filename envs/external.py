"""Basketball and Human3.6M (Minderer et al. 2019, section 5.1), for those who own the data.

Recordings are cut into windows and written as shards (:mod:`world_models.data`), the test split last. What is
understood:

* ``*.npz`` as the public Struct-VRNN code reads them: ``image`` uint8 ``[T, 64, 64, 3]`` of any length
  and, if known, ``true_object_pos`` ``[T, N, 2 or 3]``.
* Basketball also as tracks: ``*.npy``, or ``*.npz`` with an array ``data``, of shape ``[n, T, 12]`` (x and y
  of five players and the ball, y up) or ``[n, T, 22]`` (as Zhan et al. 2019 published them: the ball, five
  attackers, and five defenders, who are not drawn).
* Human3.6M also as the original videos, ``S1/Videos/Walking 1.54138969.mp4``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from string import ascii_letters

from tqdm import tqdm

from envs.agents import to_sequences
from envs.recordings import Windows, array_names, draw_windows, read_tracks, read_windows
from world_models.data import DataError, Scalar, read_attributes, shard_path, write_shard

VERSION = 1
TRACKS, FILES = 100, 100
"""Tracks, or short recordings, per shard."""

SUBJECTS = {"S1": "train", "S5": "train", "S6": "train", "S7": "train", "S8": "train"}
SUBJECTS |= {"S9": "test", "S11": "test"}
ACTIONS = (
    *("Directions", "Discussion", "Eating", "Greeting", "Phoning", "Photo", "Posing", "Purchases", "Sitting"),
    *("SittingDown", "Smoking", "Waiting", "WalkDog", "WalkTogether", "Walking"),
)
SYNONYMS = {"TakingPhoto": "Photo", "WalkingDog": "WalkDog"}
"""Some subjects' files are named otherwise."""
DAMAGED = ("S11", "Directions.54138969")
"""Cannot be read; without it 239 test videos are left, as in the paper."""


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


def collect_basketball(source: Path, out: Path, frames: int, court: tuple[float, float, float]) -> Summary:
    """Write every shard that is not there yet; files with "test" in their names are the test split.

    Args:
        source: folder with the files.
        out: folder of the shards.
        frames: T, length of a window.
        court: the square that pictures of tracks show: x and y of its lower left corner, and its side.

    Raises:
        DataError: files are missing or malformed, or ``out`` holds something else.
    """
    if court[2] <= 0:
        raise DataError(f"the side of the court must be greater than 0, got {court[2]:g}")
    shards: list[Shard] = []
    found = find_files(source, ".npz", ".npy")
    for split in ("train", "test"):
        files = [path for path in found if ("test" in path.name.lower()) == (split == "test")]
        filmed = [path for path in files if path.suffix == ".npz" and "image" in array_names(path)]
        for first in range(0, len(filmed), FILES):
            group = filmed[first : first + FILES]
            origin: dict[str, Scalar] = {"split": split, "source": group[0].name, "files": len(group)}
            shards.append(Shard(origin, partial(read_windows, group, frames)))
        for path in sorted(set(files) - set(filmed)):
            for first in range(0, len(read_tracks(path)), TRACKS):
                origin = {"split": split, "source": path.name, "first": first, "court": str(court)}
                shards.append(
                    Shard(origin, partial(draw_windows, path, slice(first, first + TRACKS), frames, court))
                )
    if not shards:
        raise DataError(
            f"{source} holds no Basketball data: expected are *.npz files with `image` [T, 64, 64, 3], or "
            "tracks [n, T, 12 or 22] as *.npy or as *.npz with `data`"
        )
    return write_shards(out, "basketball", frames, shards)


def collect_human36m(source: Path, out: Path, frames: int) -> Summary:
    """Write every shard that is not there yet: one per video; its attribute ``action`` names what it shows.

    Args:
        source: folder with a folder per subject, which holds videos or npz files.
        out: folder of the shards.
        frames: T, length of a window, at 6.25 frames per second.

    Raises:
        DataError: files are missing or malformed, or ``out`` holds something else.
    """
    missing = [subject for subject in SUBJECTS if not find_files(source / subject, ".mp4", ".npz")]
    if missing:
        raise DataError(
            f"{source} has no *.mp4 or *.npz in {', '.join(missing)}: expected are {', '.join(SUBJECTS)}, "
            "with files such as S1/Videos/Walking 1.54138969.mp4 (vision.imar.ro/human3.6m)"
        )
    shards = []
    for subject, split in SUBJECTS.items():
        for path in find_files(source / subject, ".mp4", ".npz"):
            if path.stem.startswith("_ALL") or (subject, path.stem) == DAMAGED:
                continue
            origin: dict[str, Scalar] = {"split": split, "source": path.name, "subject": subject}
            origin["action"] = name_action(path)
            shards.append(Shard(origin, partial(read_windows, [path], frames)))
    return write_shards(out, "human36m", frames, shards)


def name_action(path: Path) -> str:
    """Which of the 15 actions a file of Human3.6M shows: the first word of its name.

    Raises:
        DataError: none of them.
    """
    word = path.name[: len(path.name) - len(path.name.lstrip(ascii_letters))]
    action = SYNONYMS.get(word, word)
    if action not in ACTIONS:
        raise DataError(f"the name of {path} must begin with an action: one of {', '.join(ACTIONS)}")
    return action


def find_files(folder: Path, *suffixes: str) -> list[Path]:
    """All files in a folder and its folders with one of the suffixes, by name."""
    return sorted(path for path in folder.rglob("*") if path.suffix in suffixes)


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
