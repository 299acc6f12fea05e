"""Human3.6M recordings and videos (Minderer et al. 2019, section 5.1), for those who own the data.

Understood are the original videos, ``S1/Videos/Walking 1.54138969.mp4``, and ``*.npz`` as the public
Struct-VRNN code reads them: ``image`` uint8 ``[T, 64, 64, 3]`` of any length and, if known,
``true_object_pos`` ``[T, N, 2 or 3]``.
"""

from functools import partial
from pathlib import Path
from string import ascii_letters

from envs.owned.shards import Shard, Summary, find_files, write_shards
from envs.owned.windows import read_windows
from world_models.data import DataError, Scalar

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
            shards.append(Shard(origin, partial(read_windows, [path], frames), [path]))
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
