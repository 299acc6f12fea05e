"""A page that shows what came in: first, middle and last picture of some episodes."""

import json
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from envs.owned.intake.recording import EPISODES_IN, starts
from world_models.data import SequenceDataset, read_attributes
from world_models.jobs.figures import new_figure, save_figure

SHEET = "contact-sheet.png"
SHOWN, COLUMNS = 12, 3
GAP, WHITE = 2, 255
"""Between pictures, in pixels."""
LONGEST = 40
"""Letters of a name that are shown; the end says most."""


def draw_contact_sheet(folder: Path) -> None:
    """Draw ``contact-sheet.png`` for a folder of shards: up to 12 episodes, evenly spaced.

    Raises:
        DataError: a shard is missing or damaged.
    """
    data = SequenceDataset(folder)
    episodes, first = [], 0
    for path in data.paths:
        attributes = read_attributes(path)
        for name, width, height, pictures, sequences in json.loads(str(attributes[EPISODES_IN])):
            label = f"{_shorten(name)}\n{width} x {height}, {pictures} pictures, {attributes['split']}"
            episodes.append((label, first, pictures, sequences))
            first += sequences
    chosen = sorted({round(k) for k in np.linspace(0, len(episodes) - 1, min(SHOWN, len(episodes)))})
    rows = -(-len(chosen) // COLUMNS)
    columns = min(len(chosen), COLUMNS)
    figure = new_figure(figsize=(4.2 * columns, 1.9 * rows))
    figure.subplots_adjust(
        left=0.01, right=0.99, bottom=0.02, top=1 - 0.4 / (1.9 * rows), wspace=0.06, hspace=0.35
    )
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes:
        axis.axis("off")
    for axis, (label, start, pictures, sequences) in zip(axes, (episodes[k] for k in chosen), strict=False):
        axis.imshow(_strip(data, start, pictures, sequences), interpolation="nearest")
        axis.set_title(label, fontsize=8, parse_math=False)
    save_figure(figure, folder / SHEET, dpi=100)


def _strip(data: SequenceDataset, first: int, pictures: int, sequences: int) -> UInt8[np.ndarray, "H W 3"]:
    """First, middle and last picture of an episode, side by side."""
    begins = starts(pictures, data.shapes["frames"][0])
    found = []
    for number in (0, pictures // 2, pictures - 1):
        sequence = max(k for k in range(sequences) if begins[k] <= number)
        found.append(data[first + sequence].frames[0, number - begins[sequence]])
    gap = np.full((len(found[0]), GAP, 3), WHITE, np.uint8)
    return np.concatenate([found[0], gap, found[1], gap, found[2]], axis=1)


def _shorten(name: str) -> str:
    return name if len(name) <= LONGEST else f"…{name[1 - LONGEST :]}"
