"""Actions of any gymnasium space as rows of numbers."""

from itertools import pairwise
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


def decode_action(space: spaces.Space[Any], numbers: Float32[np.ndarray, " A"]) -> Any:
    """The action that :func:`encode_action` writes as these numbers: of limits the nearest within, of choices
    the largest number.

    Raises:
        DataError: there are too few or too many numbers, or actions of this space cannot be read from any.
    """
    if len(numbers) != action_size(space):
        raise DataError(f"{len(numbers)} numbers are no action of {space}, which has {action_size(space)}")
    match space:
        case spaces.Dict():
            ends = _ends(list(space.values()))
            return {
                name: decode_action(part, numbers[first:last])
                for (name, part), (first, last) in zip(space.items(), ends, strict=True)
            }
        case spaces.Tuple():
            ends = _ends(list(space))
            return tuple(
                decode_action(part, numbers[first:last])
                for part, (first, last) in zip(space, ends, strict=True)
            )
        case spaces.Box():
            return _to_box(space, numbers.reshape(space.shape))
        case spaces.Discrete():
            return space.dtype.type(space.start + numbers.argmax())
        case spaces.MultiBinary():
            return (numbers > 0.5).astype(space.dtype).reshape(space.shape)
        case spaces.MultiDiscrete():
            sizes = space.nvec.ravel()
            parts = np.split(numbers, np.cumsum(sizes)[:-1])
            found = np.array([part.argmax() for part in parts]).reshape(space.nvec.shape) + space.start
            return found.astype(space.dtype)
    raise DataError(f"actions of {space} cannot be read from numbers")


def action_size(space: spaces.Space[Any]) -> int:
    """A: how many numbers write an action.

    Raises:
        DataError: none do.
    """
    try:
        return int(spaces.flatdim(space))
    except (NotImplementedError, ValueError) as error:
        raise DataError(f"actions of {space} cannot be written as numbers") from error


def _ends(parts: list[spaces.Space[Any]]) -> list[tuple[int, int]]:
    """Where the numbers of each part begin and end."""
    ends = np.cumsum([0, *map(action_size, parts)]).tolist()
    return list(pairwise(ends))


def _to_box(space: spaces.Box, numbers: np.ndarray) -> np.ndarray:
    """The inverse of :func:`_from_box`, kept within the limits."""
    low, high = space.low.astype(np.float64), space.high.astype(np.float64)
    limited = np.isfinite(low) & np.isfinite(high) & (low < high)
    with np.errstate(invalid="ignore", over="ignore"):
        scaled = np.where(limited, low + (numbers.astype(np.float64) + 1) / 2 * (high - low), numbers)
    return np.clip(scaled, space.low, space.high).astype(space.dtype)
