"""Films to look at: one MP4 per episode; what was done and received is not in them."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from tqdm import tqdm

from envs.exported.folder import check_rate, whole_folder, write_film
from envs.owned.intake.recording import EPISODES_IN, starts
from world_models.data import SequenceDataset, read_attributes, read_shard


def export_mp4(data: SequenceDataset, out: Path, fps: float) -> None:
    """Write ``episode_000000.mp4`` and so on.

    Episodes that were cut into sequences when they were brought here are put together again; elsewhere a
    sequence is an episode.

    Raises:
        ValueError: ``out`` holds something already or cannot be written, ``fps`` is out of range, or pictures
            have odd sizes.
    """
    check_rate(fps)
    with whole_folder(out) as folder:
        for number, pictures in enumerate(tqdm(_episodes(data), desc="films", unit="film")):
            write_film(folder / f"episode_{number:06d}.mp4", pictures, fps)


def _episodes(data: SequenceDataset) -> Iterator[UInt8[np.ndarray, "_T H W C"]]:
    for path in data.paths:
        sequences = read_shard(path).frames
        listed = json.loads(str(read_attributes(path).get(EPISODES_IN, "null")))
        counts = (
            [(len(one), 1) for one in sequences] if listed is None else [tuple(one[3:]) for one in listed]
        )
        first = 0
        for length, count in counts:
            episode = np.empty((length, *sequences.shape[2:]), np.uint8)
            for start, sequence in zip(
                starts(length, sequences.shape[1]), sequences[first : first + count], strict=True
            ):
                episode[start : start + len(sequence)] = sequence
            yield episode
            first += count
