"""In the place of what a test cannot wait for or hold still: a planner with a gate, and time."""

import asyncio
import select
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from planner.search.hierarchy import Planner, Planning, Progress


class GatedPlanner(Planner):
    """A planner that waits at a gate before each plan, and rests between iterations."""

    def __init__(self, planner: Planner) -> None:
        self._planner = planner
        self.config, self.model, self.fewest = planner.config, planner.model, planner.fewest
        self.gate = threading.Event()
        self.gate.set()
        self.rest_seconds = 0.0
        self.rest: Callable[[float], None] = time.sleep
        self.plans = 0

    def planning(self, *args: Any, **kwargs: Any) -> Planning:
        self.plans += 1
        assert self.gate.wait(timeout=60)
        search, answer = self._planner.planning(*args, **kwargs), None
        while True:
            try:
                asked = search.send(answer)
            except StopIteration as end:
                return end.value
            if isinstance(asked, Progress):
                self.rest(self.rest_seconds)
            answer = yield asked

    def picture(self, *args: Any) -> Any:
        return self._planner.picture(*args)


class Clock:
    """In the place of :mod:`time`: stands still but for who sleeps."""

    def __init__(self) -> None:
        self.now = time.monotonic()

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class LoopClock:
    """The time of a server's loop, which the tests turn on."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self.loop: asyncio.AbstractEventLoop | None = None

    def make_loop(self) -> asyncio.AbstractEventLoop:
        """The server's loop."""
        clock = self

        class _Loop(asyncio.SelectorEventLoop):
            def time(self) -> float:
                return super().time() + clock.ahead

        self.loop = _Loop()
        return self.loop

    def turn_on(self, seconds: float) -> None:
        """Let so much time pass at once, and what was due by then happen."""
        assert self.loop is not None
        self.ahead += seconds
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0), self.loop).result(20)

    def turn_until_readable(self, connection: socket.socket, seconds: float) -> None:
        """Let so much time pass again and again, until something comes."""
        while not select.select([connection], [], [], 0.02)[0]:
            self.turn_on(seconds)
