"""What the engine is given to do for a request, whatever the endpoint."""

import math
import secrets
from collections.abc import Callable
from typing import Protocol, TypeVar

import numpy as np
from jaxtyping import UInt8

from planner.hierarchy import Interruption

Picture = UInt8[np.ndarray, "H W 3"]
Stop = Callable[[], Interruption | None]
"""Asked between pieces of work: whether to end now, and why."""

T_co = TypeVar("T_co", covariant=True)

# Seeds that are drawn fit in a double, so that JavaScript clients can send them back unchanged.
_DRAWN_SEEDS = 2**53


class Task(Protocol[T_co]):
    """Work with everything decided and nothing left to a default."""

    def run(self, device: str, stop: Stop) -> T_co:
        """Do it, in the engine's thread. Raises Unfinished if it is stopped and has nothing to answer."""
        ...


class Unfinished(Exception):
    """Work was stopped before there was anything to answer."""

    def __init__(self, reason: Interruption) -> None:
        super().__init__(reason)
        self.reason = reason


class TooMuchWork(ValueError):
    """The request asks for more than one request may take."""

    def __init__(self, *factors: tuple[str, int], unit: str, limit: int) -> None:
        product = " x ".join(f"{count} {name}" for name, count in factors)
        total = math.prod(count for _, count in factors)
        *names, last = (name for name, _ in factors)
        super().__init__(
            f"{product} = {total} {unit}; one request may take {limit}. Lower {', '.join(names)} or {last}."
        )


def drawn(seed: int | None) -> int:
    """The seed, or a new one for None."""
    return secrets.randbelow(_DRAWN_SEEDS) if seed is None else seed


def go_on(stop: Stop) -> None:
    """Raises Unfinished if the work is to end."""
    if (reason := stop()) is not None:
        raise Unfinished(reason)
