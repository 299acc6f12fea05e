"""What a source hands over: episodes, step by step, with pictures that are drawn when they are needed."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from world_models.data import DataError

Draw = Callable[[], NDArray[Any]]
"""Answers a picture of any form that :func:`envs.owned.sources.pictures.to_rgb` understands."""


@dataclass(frozen=True)
class Step:
    """One moment of an episode.

    Attributes:
        picture: draws the picture; asked before the next step is, and only for pictures that are kept.
        action: what led to it from the moment before; None for the first one, or where nobody acts.
        reward: received on arriving here, 0 at the start; None where nothing is rewarded.
        state: true state, or what was measured of it; None where nothing is known.
    """

    picture: Draw
    action: Float32[np.ndarray, " A"] | None = None
    reward: float | None = None
    state: Float32[np.ndarray, " S"] | None = None


@dataclass(frozen=True)
class Episode:
    """One episode of a source.

    Attributes:
        name: what users call it: a file, a group of a file, a number.
        steps: goes through it from the start. It may raise DataError or OSError at any point: then the whole
            episode is left out.
        files: all that is read for it.
        length: about how many pictures it has, by which shards are cut; 0 where nobody knows.
    """

    name: str
    steps: Callable[[], Iterator[Step]]
    files: Sequence[Path] = ()
    length: int = 0


@dataclass(frozen=True)
class Rows:
    """Numbers of an episode of T pictures, as tables hold them: row t is of picture t.

    Attributes:
        actions: ``[T-1 or T, A]``, each leads from its picture to the next one; a last one leads nowhere.
        rewards: ``[T-1 or T]``, of the action in the same row.
        states: ``[T, S]``.
        arrivals: ``[T]``, rewards on arriving at each picture, where a file has them; used before rewards.
    """

    actions: NDArray[Any] | None = None
    rewards: NDArray[Any] | None = None
    states: NDArray[Any] | None = None
    arrivals: NDArray[Any] | None = None


def to_steps(pictures: Iterable[Draw], count: int, rows: Rows) -> Iterator[Step]:
    """Steps of an episode of ``count`` pictures that is stored as rows.

    Raises:
        DataError: there are fewer or more pictures, or the number of rows does not fit them.
    """
    actions = _columns("actions", rows.actions, (count - 1, count))
    states = _columns("states", rows.states, (count,))
    rewards = _columns("rewards", rows.rewards, (count - 1, count))
    arrivals = _columns("rewards on arrival", rows.arrivals, (count,))
    if arrivals is None and rewards is not None:
        arrivals = np.concatenate([np.zeros((1, rewards.shape[1]), np.float32), rewards[: count - 1]])
    if arrivals is not None and arrivals.shape[1] != 1:
        raise DataError(f"a reward must be one number, got {arrivals.shape[1]} per picture")
    number = -1
    for number, picture in enumerate(pictures):
        if number == count:
            raise DataError(f"it has more than the {count} pictures that its rows are for")
        yield Step(
            picture,
            None if actions is None or number == 0 else actions[number - 1],
            None if arrivals is None else float(arrivals[number, 0]),
            None if states is None else states[number],
        )
    if number + 1 < count:
        raise DataError(f"it has {number + 1} pictures for {count} rows")


def natural_order(name: str) -> list[tuple[int, int, str]]:
    """Sorts ``frame-2`` before ``frame-10``: numbers by their size, other parts by their letters."""
    parts = re.findall(r"\d+|\D+", name)
    return [(0, int(part), "") if part[0] in "0123456789" else (1, 0, part) for part in parts]


def _columns(name: str, array: NDArray[Any] | None, lengths: tuple[int, ...]) -> NDArray[np.float32] | None:
    """An array of one row per step as float32 ``[T, X]``."""
    if array is None:
        return None
    if array.dtype.kind not in "fiub":
        raise DataError(f"{name} must be numbers, got {array.dtype}")
    if array.ndim == 0 or len(array) not in lengths:
        wanted = " or ".join(map(str, lengths))
        raise DataError(f"{name} must have {wanted} rows to fit the pictures, got shape {array.shape}")
    rows = array.reshape(len(array), -1) if array.size else array.reshape(len(array), 0)
    return rows.astype(np.float32)
