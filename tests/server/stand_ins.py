"""In the place of what a test cannot wait for or hold still: a planner with a gate, and time."""

import threading
import time
from collections.abc import Callable
from typing import Any

from planner.search.hierarchy import Planner, Planning, Progress


class GatedPlanner(Planner):
    """A planner that waits at a gate before each plan, and rests between iterations."""

    def __init__(self, planner: Planner) -> None:
        self._planner = planner
        self.config = planner.config
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
