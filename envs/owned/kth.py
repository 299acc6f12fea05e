"""The KTH actions (Schuldt, Laptev and Caputo 2004), for those who own the videos.

25 persons box, clap, wave, jog, run and walk in four scenes: ``person01_boxing_d1_uncomp.avi`` and so on, 160
x 120 pixels, 25 frames per second. The whole picture is shrunk to 64 x 64 grey pixels. As in SVG (Denton and
Fergus 2018, section 4.3) persons 21 to 25 are for testing; they come last.
"""

import re
from functools import partial
from pathlib import Path

import numpy as np

from envs.owned.shards import Shard, Summary, find_files, write_shards
from envs.owned.windows import Windows, cut, decode_video
from world_models.data import DataError, Scalar

ACTIONS = ("boxing", "handclapping", "handwaving", "jogging", "running", "walking")
PERSONS = 25
FIRST_TEST_PERSON = 21
NAME = re.compile(rf"(person(\d\d)_({'|'.join(ACTIONS)})_d[1-4])(_uncomp)?\.avi")
TIMES = "00sequences.txt"
"""The authors' list of when a person is to be seen, in frames that count from 1."""

Ranges = dict[str, list[tuple[int, int]]]
"""First and last frame of every part in which there is somebody, by the video's name."""


def collect_kth(source: Path, out: Path, frames: int) -> Summary:
    """Write every shard that is not there yet: one per person and action, the attribute ``action``.

    Videos are cut into windows where a person is to be seen, if the authors' ``00sequences.txt`` is there to
    say so; else everywhere.

    Args:
        source: folder with the videos, or folders of them.
        out: folder of the shards.
        frames: T, length of a window.

    Raises:
        DataError: files are missing or malformed, or ``out`` holds something else.
    """
    groups: dict[tuple[int, str], list[Path]] = {}
    for path in find_files(source, ".avi"):
        if found := NAME.fullmatch(path.name):
            groups.setdefault((int(found[2]), found[3]), []).append(path)
    persons = {person for person, _ in groups}
    missing = sorted(set(range(1, PERSONS + 1)) - persons)
    if missing:
        raise DataError(
            f"{source} has no videos of person {', '.join(map(str, missing))}: expected are persons 1 to "
            f"{PERSONS}, with names such as person01_boxing_d1_uncomp.avi, of {', '.join(ACTIONS)}"
        )
    lists = [path for path in find_files(source, ".txt") if path.name == TIMES]
    ranges = read_ranges(lists[0]) if lists else {}
    shards = []
    for person, action in sorted(groups):
        split = "test" if person >= FIRST_TEST_PERSON else "train"
        origin: dict[str, Scalar] = {"split": split, "person": person, "action": action}
        origin |= {"files": len(groups[person, action]), "cut": "where seen" if lists else "everywhere"}
        files = groups[person, action]
        shards.append(Shard(origin, partial(_read_windows, files, frames, ranges), [*files, *lists[:1]]))
    return write_shards(out, "kth", frames, shards)


def read_ranges(path: Path) -> Ranges:
    """The authors' list; its lines are such as ``person01_boxing_d1 frames 1-95, 96-185``.

    Raises:
        DataError: no line is such, or a part ends before it begins.
    """
    ranges: Ranges = {}
    for line in path.read_text(errors="replace").splitlines():
        if not (found := re.match(r"\s*(person\d\d_[a-z]+_d[1-4])\b(.*)", line)):
            continue
        ranges[found[1]] = [(int(first), int(last)) for first, last in re.findall(r"(\d+)-(\d+)", found[2])]
        if any(not 1 <= first <= last for first, last in ranges[found[1]]):
            raise DataError(f"{path}: parts must begin at 1 or later and end after that, got {line.strip()}")
    if not ranges:
        raise DataError(f"{path} has no line such as person01_boxing_d1 frames 1-95, 96-185")
    return ranges


def _read_windows(paths: list[Path], frames: int, ranges: Ranges) -> Windows:
    """Windows of some videos; those that the list does not know are cut everywhere."""
    windows, counts = [], []
    for path in paths:
        video = decode_video(path, colours=1)
        name = path.stem.removesuffix("_uncomp")
        parts = [cut(video[first - 1 : last], frames) for first, last in ranges.get(name, [(1, len(video))])]
        windows += parts
        counts.append(sum(map(len, parts)))
    joined = np.concatenate(windows)
    return Windows(joined, np.zeros((*joined.shape[:2], 0, 2)), (), recordings=tuple(counts))
