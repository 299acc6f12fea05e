"""Films to look at: one MP4 per sequence; what was done and received is not in them."""

from pathlib import Path

from envs.exported.folder import check_rate, each, whole_folder, write_film
from world_models.data import SequenceDataset


def export_mp4(data: SequenceDataset, out: Path, fps: float) -> None:
    """Write ``episode_000000.mp4`` and so on.

    Raises:
        ValueError: ``out`` holds something already or cannot be written, ``fps`` is out of range, or pictures
            have odd sizes.
    """
    check_rate(fps)
    with whole_folder(out) as folder:
        for number, sequence in each(data):
            write_film(folder / f"episode_{number:06d}.mp4", sequence.frames[0], fps)
