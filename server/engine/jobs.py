"""Work in the engine's hands, and who keeps count of it."""

import itertools
import math
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Generic, Literal, TypeVar

from planner.search.batching import Question
from server.engine.task import Task
from server.errors import DeadlinePassed, ShuttingDown

T = TypeVar("T")
Listener = Callable[[Any], None]
State = Literal["fresh", "begun", "asking", "answered", "paused", "ended"]

_numbers = itertools.count()


class Job(Generic[T]):
    """Work handed to the engine. Its result is in ``future``; times are in monotonic seconds.

    Attributes:
        predicted: seconds that the device should be busy with it.
        wait: seconds of others' work that came first when it was taken.
        computed: seconds that the device has been busy with it.
        slowest: the most of these from one turn to the next.
    """

    def __init__(
        self,
        task: Task[T],
        device: str,
        deadline: float,
        predicted: float,
        caller: str,
        listener: Listener | None,
    ) -> None:
        self.task = task
        self.deadline = deadline
        self.predicted = predicted
        self.caller = caller
        self.wait = 0.0
        self.future: Future[T] = Future()
        self.submitted = time.monotonic()
        self.finished = math.nan
        self.computed = 0.0
        self.cancelled = False
        self.work = task.work(device)
        self.state: State = "fresh"
        self.question: Question | None = None
        self.answer: Any = None
        self.slowest = 0.0
        self._before = 0.0
        self._listener = listener
        self._number = next(_numbers)

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to do for it."""
        return self.state == "ended"

    @property
    def label(self) -> tuple[str, str]:
        """What sort of work it is, and whose."""
        return self.task.kind, self.task.who

    @property
    def order(self) -> tuple[float, int]:
        """Whose turn it is: the earliest deadline first, then the earliest arrival."""
        return self.deadline, self._number

    @property
    def left(self) -> float:
        """Seconds that the device should still be busy with it; some, if it takes longer than predicted."""
        return max(self.predicted - self.computed, 0.1 * self.computed)

    @property
    def needed(self) -> float:
        """Seconds of work without which it is in vain: all of it or, where it asks for more than its own
        deadline allows, those for a first answer.
        """
        whole = self.predicted <= self.deadline - self.submitted
        return self.predicted if whole else self.predicted * self.task.least

    @property
    def since(self) -> float:
        """Seconds that the device has been busy with it since its last turn."""
        return self.computed - self._before

    def turn(self) -> None:
        """It lets others in."""
        self.slowest = max(self.slowest, self.since)
        self._before = self.computed

    @property
    def end_label(self) -> tuple[str, str, float]:
        """What comes after its last turn, for the forecast: kind, whose, amount."""
        return f"end of {self.task.kind}", self.task.who, 1.0

    def asks_like(self, other: "Job[Any]") -> bool:
        """Whether both wait for roll-outs of the same kind, which may share calls."""
        if self.question is None or other.question is None:
            return False
        kind = self.question.roll_out.kind
        return kind is not None and kind == other.question.roll_out.kind

    def publish(self, event: Any) -> None:
        """Tell who listens."""
        if self._listener is not None:
            self._listener(event)


def outcome_of(result: object) -> str:
    """How a job ended that has a result: ok, or by deadline or shutdown with what there was."""
    return _STOPS.get(getattr(result, "stop_reason", ""), "ok")


def failure_of(error: Exception) -> str:
    """How a job ended that has none."""
    return next((name for kind, name in _FAILURES if isinstance(error, kind)), "error")


_STOPS = {"deadline": "deadline", "cancelled": "drained"}
_FAILURES = ((DeadlinePassed, "late"), (ShuttingDown, "drained"), (ValueError, "invalid"))


class Monitor:
    """Told of what the engine does; this one does not care."""

    def batched(self, rows: int, slots: int, jobs: int, seconds: float) -> None:
        """A batch of roll-outs was computed: ``rows`` of ``slots`` in use, for so many jobs."""

    def finished(
        self, kind: str, who: str, outcome: str, queue_seconds: float, compute_seconds: float
    ) -> None:
        """A job has ended: ok, deadline, drained, cancelled, late, invalid or error."""

    def refused(self, kind: str, reason: str) -> None:
        """A job was not taken: queue-full, predicted-late, quota or shutting-down."""
