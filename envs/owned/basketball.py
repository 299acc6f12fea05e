"""Basketball recordings and tracks (Minderer et al. 2019, section 5.1), for those who own the data.

Understood are ``*.npz`` as the public Struct-VRNN code reads them (see :mod:`envs.owned.human36m`), and
tracks: ``*.npy``, or ``*.npz`` with an array ``data``, of shape ``[n, T, 12]`` (x and y of five players and
the ball, y up) or ``[n, T, 22]`` (as Zhan et al. 2019 published them: the ball, five attackers, and five
defenders, who are not drawn).
"""

from functools import partial
from pathlib import Path

from envs.owned.shards import FILES, TRACKS, Shard, Summary, find_files, write_shards
from envs.owned.windows import array_names, draw_windows, read_tracks, read_windows
from world_models.data import DataError, Scalar


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
            shards.append(Shard(origin, partial(read_windows, group, frames), group))
        for path in sorted(set(files) - set(filmed)):
            for first in range(0, len(read_tracks(path)), TRACKS):
                origin = {"split": split, "source": path.name, "first": first, "court": str(court)}
                shards.append(
                    Shard(
                        origin,
                        partial(draw_windows, path, slice(first, first + TRACKS), frames, court),
                        [path],
                    )
                )
    if not shards:
        raise DataError(
            f"{source} holds no Basketball data: expected are *.npz files with `image` [T, 64, 64, 3], or "
            "tracks [n, T, 12 or 22] as *.npy or as *.npz with `data`"
        )
    return write_shards(out, "basketball", frames, shards)
