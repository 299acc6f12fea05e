"""What the engine is given to do for a request, whatever the endpoint."""

import secrets
from collections.abc import Generator
from typing import Any, Protocol, TypeVar, runtime_checkable

from planner.search.rollout import Interrupted

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

# Seeds that are drawn fit in a double, so that JavaScript clients can send them back unchanged.
_DRAWN_SEEDS = 2**53


Work = Generator[Any, Any, T]
"""Work in pieces, so that requests can share a device.

A :class:`~planner.search.rollout.RollOut` is answered with its rows of output, perhaps computed together with
those of others; or Interrupted is raised there. None lets others have their turn; whatever else is yielded is
passed on to who watches. Both are answered with None or with why the work is to end now. Something is due at
least every tenth of a second. Work that nobody waits for any more is closed.
"""


@runtime_checkable
class Task(Protocol[T_co]):
    """Work with everything decided and nothing left to a default."""

    @property
    def kind(self) -> str:
        """What sort of work it is, in one word."""
        ...

    @property
    def who(self) -> str:
        """Who works: the name of a model or an environment."""
        ...

    @property
    def amount(self) -> float:
        """How much work it is, in a unit of its kind; it takes about as long as there is of it."""
        ...

    @property
    def least(self) -> float:
        """The share of it that must be done for a first answer: 1 for work that cannot be cut short."""
        ...

    def work(self, device: str) -> Work[T_co]:
        """Begin. Raises, on the way, Interrupted if it is stopped and has nothing to answer."""
        ...


def drawn(seed: int | None) -> int:
    """The seed, or a new one for None."""
    return secrets.randbelow(_DRAWN_SEEDS) if seed is None else seed


def go_on() -> Work[None]:
    """Let others have their turn. Raises Interrupted if the work is to end."""
    if (reason := (yield None)) is not None:
        raise Interrupted(reason)
