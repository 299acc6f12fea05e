"""Work in the engine's hands, and the reasons why it may be refused or fail."""

import itertools
import math
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, ClassVar, Generic, TypeVar

from server.sharing import Question
from server.tasks import Task

T = TypeVar("T")
Listener = Callable[[Any], None]

_numbers = itertools.count()


class Refused(Exception):
    """A job is not taken, for the ``reason``; ``retry_after`` whole seconds it may be."""

    reason: ClassVar[str]
    retry_after: int


class QueueFull(Refused):
    """As many jobs are unfinished as the engine keeps."""

    reason = "queue-full"

    def __init__(self, waiting: int, retry_after: int) -> None:
        super().__init__(f"{waiting} requests are already waiting, which is as many as this server keeps.")
        self.retry_after = retry_after


class PredictedLate(Refused):
    """The work cannot be done by its deadline beside what has been promised to others."""

    reason = "predicted-late"

    def __init__(self, wait: float, retry_after: int) -> None:
        super().__init__(
            f"Work of about {wait:.1f} s comes first: this request, or another one, would miss its deadline."
        )
        self.retry_after = retry_after


class QuotaExceeded(Refused):
    """One caller has as many unfinished jobs as one may have."""

    reason = "quota"

    def __init__(self, most: int, retry_after: int) -> None:
        super().__init__(
            f"{most} requests of this key are waiting or running, which is as many as a key may have."
        )
        self.retry_after = retry_after


class ShuttingDown(Refused):
    """The engine takes no new jobs."""

    reason = "shutting-down"
    retry_after = 5

    def __init__(self) -> None:
        super().__init__("This server is shutting down and takes no new requests.")


class DeadlinePassed(Exception):
    """A job's deadline passed before there was anything to answer."""

    def __init__(self, when: str, retry_after: int) -> None:
        super().__init__(f"The deadline passed {when}.")
        self.retry_after = retry_after


class Cancelled(Exception):
    """Somebody cancelled a job that others wait for."""

    def __init__(self) -> None:
        super().__init__("This work was cancelled before it was done.")


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
        self.state = "fresh"  # then "asking", "answered" or "paused"
        self.question: Question | None = None
        self.answer: Any = None
        self.served = False
        self.slowest = 0.0
        self._before = 0.0
        self._listener = listener
        self._number = next(_numbers)

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

    def publish(self, event: Any) -> None:
        """Tell who listens."""
        if self._listener is not None:
            self._listener(event)
