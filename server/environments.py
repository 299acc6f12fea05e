"""Simulated worlds by name, as the engine's thread works in them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, Literal, TypeVar

from envs.dmc import tasks as dmc_tasks
from envs.dmc.world import DmcWorld
from envs.push import tasks as push_tasks
from envs.push.world import PushWorld
from envs.world import World
from planner.search.rollout import Interrupted
from server.errors import UnknownEnvironment, UnreadableScene

IMAGE_SIZE = 64
"""Side of all pictures, in pixels."""

Kind = Literal["push", "dmc"]
W = TypeVar("W", bound=World[Any])


_MOST_IDLE = 4
"""Of one name: more requests for it at once are rare."""
_HARMLESS = (GeneratorExit, Interrupted, UnreadableScene)
"""What ends work without a fault of the world."""

KINDS: dict[str, Kind] = {
    **dict.fromkeys(push_tasks.SINGLE, "push"),
    **dict.fromkeys(dmc_tasks.TASKS, "dmc"),
}
"""All environments: pushing, or tasks of DM Control."""


def kind_of(name: str) -> Kind:
    """Raises UnknownEnvironment."""
    if name not in KINDS:
        raise UnknownEnvironment(KINDS)
    return KINDS[name]


def most_steps(name: str) -> int:
    """Control steps of a whole episode."""
    return push_tasks.TASKS[name].steps if KINDS[name] == "push" else dmc_tasks.TASKS[name].steps


class Pool(Generic[W]):
    """Worlds of one kind, each lent to one borrower at a time; a few of every name are kept for the next.

    Making one takes up to a quarter of a second. All of this must happen in one thread, as pictures are drawn
    in contexts that belong to it.
    """

    def __init__(self, make: Callable[[str], W]) -> None:
        self._make = make
        self._idle: dict[str, list[W]] = {}

    @contextmanager
    def borrow(self, name: str) -> Iterator[W]:
        """The world of that name, in any state; one that fails in the borrower's hands is not lent again."""
        idle = self._idle.setdefault(name, [])
        world = idle.pop() if idle else self._make(name)
        sound = False
        try:
            yield world
            sound = True
        except _HARMLESS:
            sound = True
            raise
        finally:
            if sound and len(idle) < _MOST_IDLE:
                idle.append(world)
            else:
                world.close()

    def close(self) -> None:
        """Free those that are kept."""
        for idle in self._idle.values():
            while idle:
                idle.pop().close()


class Worlds:
    """The pools of a service."""

    def __init__(self) -> None:
        self.push = Pool(PushWorld)
        self.dmc = Pool(DmcWorld)

    def close(self) -> None:
        """Free all that are kept."""
        self.push.close()
        self.dmc.close()
