"""Looks: the same moments in the usual world and in another, as encoders learn from them."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from world_models.data import Sequences

PAIRS = 6
"""Moments of a sequence: it has twice as many frames, first those of the usual world."""

Look = tuple[NDArray[np.uint8], NDArray[np.float32]]
"""Frames ``[2 PAIRS, H, W, 3]`` and true states ``[2 PAIRS, S]``."""


def as_sequences(looks: Iterable[Look], actions: int) -> Sequences:
    """Looks as sequences of a data set, in which nothing is done with ``actions`` actuators."""
    frames, states = map(np.stack, zip(*looks, strict=True))
    count, length = frames.shape[:2]
    return Sequences(
        frames=frames,
        actions=np.zeros((count, length - 1, actions), np.float32),
        keyframes=np.zeros((count, length), np.bool_),
        states=states,
    )
