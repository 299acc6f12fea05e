"""Data of users as trainings see them: how much there is, what is held out, and what cannot work."""

from world_models.data import SequenceDataset, read_attributes

FEWEST = 20
"""Sequences to learn from, at the least."""
SHARE = 0.1
"""Share of the sequences that are held out where the data does not say what is for testing."""


def held_out(data: SequenceDataset) -> int:
    """How many sequences, the last ones, are for testing: as the data says, or a tenth of them."""
    tests = sum(
        int(attributes.get("sequences", 0))
        for attributes in map(read_attributes, data.paths)
        if attributes.get("split") == "test"
    )
    return tests or max(1, round(SHARE * len(data)))


def check_sequences(data: SequenceDataset, shortest: int) -> None:
    """Make sure that a model can learn something from the data.

    Raises:
        ValueError: there are too few sequences, they are too short, or pictures have a wrong size.
    """
    frames, height, width, channels = data.shapes["frames"]
    known = data.known(held_out(data))
    if known < FEWEST:
        raise ValueError(
            f"{data.folder} has {known} sequences to learn from beside those held out, at least {FEWEST} are "
            "needed; bring more episodes, or cut them into shorter sequences with --frames"
        )
    if frames < shortest:
        raise ValueError(
            f"{data.folder} has sequences of {frames} frames, at least {shortest} are needed; "
            "bring the data with larger --frames or smaller --skip"
        )
    if height != width or width % 8 or channels != 3:
        raise ValueError(
            f"{data.folder} has pictures of {width} x {height} x {channels}, squares of 64, 96 or 128 pixels "
            "in three colours are needed; bring the data with --size"
        )
