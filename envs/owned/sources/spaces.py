"""Actions of any gymnasium space as rows of numbers."""

from typing import Any

import numpy as np
from gymnasium import spaces
from jaxtyping import Float32

from world_models.data import DataError


def encode_action(space: spaces.Space[Any], action: Any) -> Float32[np.ndarray, " A"]:
    """An action as numbers: a box with limits from -1 to 1, without limits as it is; a choice as a one-hot
    vector; parts of a whole one after the other.

    Raises:
        DataError: it is no action of this space.
    """
    match space:
        case spaces.Dict():
            return _join([encode_action(part, action[name]) for name, part in space.items()])
        case spaces.Tuple():
            return _join([encode_action(part, one) for part, one in zip(space, action, strict=True)])
        case spaces.Box():
            return _from_box(space, np.asarray(action))
        case spaces.Discrete() | spaces.MultiDiscrete() | spaces.MultiBinary():
            if not space.contains(np.asarray(action, space.dtype) if np.ndim(action) else action):
                raise DataError(f"{action!r} is no action of {space}")
            return np.asarray(spaces.flatten(space, action), np.float32).ravel()
    raise DataError(f"actions of {space} cannot be written as numbers")


def _from_box(space: spaces.Box, action: np.ndarray) -> Float32[np.ndarray, " A"]:
    """Numbers with limits are scaled; what lies outside them stays outside."""
    if action.shape != space.shape or action.dtype.kind not in "fiu":
        raise DataError(f"{action!r} is no action of {space}")
    low, high = space.low.astype(np.float64), space.high.astype(np.float64)
    limited = np.isfinite(low) & np.isfinite(high) & (low < high)
    # Numbers that lie between -1 and 1 already are kept to the last bit.
    limited &= (low != -1) | (high != 1)
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        scaled = 2 * (action - low) / (high - low) - 1
    return np.where(limited, scaled, action).astype(np.float32).ravel()


def _join(parts: list[np.ndarray]) -> Float32[np.ndarray, " A"]:
    return np.concatenate([*parts, np.zeros(0, np.float32)])
