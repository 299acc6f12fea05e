"""Sequences of a bright dot that goes along a line in a dark room, as users' data come in."""

import numpy as np

from world_models.data import Sequences, shard_path, write_shard


def write_dots(folder, count=40, frames=13, tests=6, size=64, actions=1, still=False):
    """Two shards; the second is for testing."""
    rng = np.random.default_rng(0)
    start = rng.uniform(8, size - 8, (count, 2))
    speed = rng.uniform(-1, 1, (count, 2)) * (not still)
    places = (start[:, None] + speed[:, None] * np.arange(frames)[:, None]).clip(4, size - 5)
    pixel = np.arange(size)
    columns = np.exp(-((pixel - places[..., :1]) ** 2) / 8)
    rows = np.exp(-((pixel - places[..., 1:]) ** 2) / 8)
    pictures = np.repeat((255 * rows[..., :, None] * columns[..., None, :])[..., None], 3, -1)
    done = np.repeat(speed[:, None, :1], frames - 1, 1)[..., :actions].astype(np.float32)
    whole = Sequences(
        pictures.astype(np.uint8), done, np.zeros((count, frames), bool), places.astype(np.float32)
    )
    for index, (part, first, last) in enumerate(
        (("train", 0, count - tests), ("test", count - tests, count))
    ):
        arrays = {name: array[first:last] for name, array in whole.arrays().items()}
        write_shard(
            shard_path(folder, index), Sequences(**arrays), {"split": part, "sequences": last - first}
        )
    return folder
