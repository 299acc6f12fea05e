"""The colour of what is to be moved: found by what differs between start and goal, undone by recolouring."""

import numpy as np
from jaxtyping import Bool, UInt8
from numpy.typing import NDArray

from world_models.eye.reference import Reference, coarse

Array = NDArray[np.float64]
Colour = tuple[float, float, float]

_CHANGED = 40
"""Bytes by which a channel of a pixel differs when something came or went."""
_FEWEST = 12
"""Pixels that an object has at start and goal together, at least."""
_SAME_HUE = 0.98
"""Cosine, about the table's colour, of colours that are one."""
_ALIKE = 60.0
"""Distance of a pixel's colour from the object's, in bytes, within which it belongs to it ..."""
_PURE = 0.7
"""... if it has so much of it."""
_TRACE = 0.15
"""Share of the object's colour in a pixel at its edge, at least."""
_OFF = 45.0
"""Distance of an edge pixel from mixtures of background and object, at most."""
_BESIDE = 100.0
"""Distance from the object's colour of pixels that it shares with something else than the background."""


def find_colour(
    first: UInt8[np.ndarray, "H W 3"],
    goal: UInt8[np.ndarray, "H W 3"],
    usual: Colour,
    reference: Reference,
) -> Colour | None:
    """The colour of the object that stands elsewhere in the goal picture, in bytes.

    None if it is ``usual`` (in bytes), or if nothing of a new colour has moved.
    """
    one, two = first.astype(np.float64), goal.astype(np.float64)
    background = reference.background.astype(np.float64)
    changed = _opened(np.abs(one - two).max(axis=-1) > _CHANGED)
    ours, theirs = (np.linalg.norm(picture - background, axis=-1) for picture in (one, two))
    colours = np.where((ours > theirs)[..., None], one, two)[changed]
    contrast = np.maximum(ours, theirs)[changed]
    near = np.linalg.norm(colours - np.array(usual), axis=-1) < 2 * _ALIKE
    new = near | ~reference.common[coarse(colours.astype(np.uint8))]
    colours, contrast = colours[new], contrast[new]
    if len(colours) < _FEWEST:
        return None
    core = colours[contrast >= np.median(contrast)]
    # The densest colour: edges of other things that moved are mixtures, each of its own.
    neighbours = np.linalg.norm(core[:, None] - core, axis=-1) < _ALIKE / 2
    found = np.median(core[neighbours[neighbours.sum(axis=1).argmax()]], axis=0)
    ours, theirs = found - reference.typical, np.array(usual) - reference.typical
    if ours @ theirs >= _SAME_HUE * np.linalg.norm(ours) * np.linalg.norm(theirs):
        return None
    red, green, blue = (round(float(value), 1) for value in found)
    return red, green, blue


def recolour(
    pictures: UInt8[np.ndarray, "*batch H W 3"], found: Colour, usual: Colour, reference: Reference
) -> UInt8[np.ndarray, "*batch H W 3"]:
    """Give the object its usual colour: each pixel in the measure of its share of the found one.

    Pixels are taken for mixtures of the object with the background, or else with something before it.
    """
    background = reference.background.astype(np.float64)
    shown = pictures.astype(np.float64)
    direction = np.array(found) - background
    offset = shown - background
    share = (offset * direction).sum(-1) / np.maximum((direction**2).sum(-1), 1.0)
    off = np.linalg.norm(offset - share[..., None] * direction, axis=-1)
    from_found = shown - np.array(found)
    pure = (np.abs(from_found).max(axis=-1) < _ALIKE) & (share > _PURE)
    near = _dilated(pure & (_around(pure) > 1))  # a single pixel is none of it
    mixed = near & (share > _TRACE) & (off < _OFF)
    covered = near & ~mixed & (np.linalg.norm(from_found, axis=-1) < _BESIDE)
    amount = np.where(mixed, np.clip(share, 0, 1.1), covered)
    change = amount[..., None] * (np.array(usual) - np.array(found))
    return np.clip(np.round(shown + change), 0, 255).astype(np.uint8)


def _opened(mask: Bool[np.ndarray, "*batch H W"]) -> Bool[np.ndarray, "*batch H W"]:
    """Without what is narrower than two pixels."""
    kept = np.zeros_like(mask)
    corner = mask[..., :-1, :-1] & mask[..., 1:, :-1] & mask[..., :-1, 1:] & mask[..., 1:, 1:]
    for row in (0, 1):
        for column in (0, 1):
            height, width = mask.shape[-2:]
            kept[..., row : height - 1 + row, column : width - 1 + column] |= corner
    return kept


def _dilated(mask: Bool[np.ndarray, "*batch H W"]) -> Bool[np.ndarray, "*batch H W"]:
    """With all pixels beside it."""
    return _around(mask) > 0


def _around(mask: Bool[np.ndarray, "*batch H W"]) -> UInt8[np.ndarray, "*batch H W"]:
    """How many of a pixel and the eight beside it belong to the mask."""
    rows = mask.astype(np.uint8)
    rows[..., 1:, :] += mask[..., :-1, :]
    rows[..., :-1, :] += mask[..., 1:, :]
    count = rows.copy()
    count[..., 1:] += rows[..., :-1]
    count[..., :-1] += rows[..., 1:]
    return count
