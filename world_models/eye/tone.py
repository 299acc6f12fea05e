"""Light and colour balance: a power law per channel between a scene and the training data."""

import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray

from world_models.eye.calibration import Tone
from world_models.eye.reference import BRIGHT, Reference

_SAME = 1.0
"""Bytes by which the median colour of a picture as in training may be off."""
_CURVED = (0.4, 2.5)
"""Least and greatest exponent: outside, the median is of something else."""
_FLAT = 0.95
"""Share of the brightest that is typical from which on there is no curve to be seen."""


def find_tone(pictures: UInt8[np.ndarray, "n H W 3"], reference: Reference) -> Tone | None:
    """The tone that gives pictures of a scene the median colour and the brightness of the training data.

    Two points of the curve are pinned: what is seen most (the table) and what is brightest (the arm).
    """
    pixels = pictures.reshape(len(pictures), -1, 3)
    typical = np.median(np.median(pixels, axis=1), axis=0)
    if np.abs(typical - reference.typical).max() <= _SAME:
        return None
    brightest = np.maximum(np.median(np.percentile(pixels, BRIGHT, axis=1), axis=0), 1.0)
    wanted = np.log(np.maximum(reference.typical, 1.0) / np.maximum(reference.brightest, 1.0))
    share = np.clip(typical / brightest, 1e-3, 1.0)
    flat = share > _FLAT
    exponent = np.where(flat, 1.0, np.clip(wanted / np.log(np.where(flat, 0.5, share)), *_CURVED))
    becomes = np.maximum(reference.brightest, 1.0)
    return Tone(brightest=_three(brightest), becomes=_three(becomes), exponent=_three(exponent))


def _three(values: NDArray[np.floating]) -> tuple[float, float, float]:
    red, green, blue = (round(float(value), 4) for value in values)
    return red, green, blue


def apply_tone(pictures: UInt8[np.ndarray, "*batch H W 3"], tone: Tone) -> UInt8[np.ndarray, "*batch H W 3"]:
    """Pictures of the scene as they would be in the light of the training data."""
    share = np.arange(256)[:, None] / np.array(tone.brightest)
    with np.errstate(over="ignore"):
        table = np.clip(np.round(np.array(tone.becomes) * share ** np.array(tone.exponent)), 0, 255)
    return np.stack(
        [table[:, channel].astype(np.uint8)[pictures[..., channel]] for channel in range(3)], axis=-1
    )
