"""One thread that computes, and the bounded queue before it.

Torch is used from this thread only: the number of threads it computes with is a property of the
calling thread, results depend on it, and a device is fastest when one thread feeds it. The engine
knows nothing of models or HTTP.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class QueueFull(Exception):
    """The queue is full; ``retry_after`` is a guess, in whole seconds, of when to come back."""

    def __init__(self, waiting: int, retry_after: int) -> None:
        super().__init__(f"{waiting} requests are already waiting, which is as many as this server keeps.")
        self.retry_after = retry_after


class ShuttingDown(Exception):
    """The engine takes no new jobs."""

    retry_after = 5

    def __init__(self) -> None:
        super().__init__("This server is shutting down and takes no new requests.")


class DeadlinePassed(Exception):
    """A job's deadline passed before there was anything to answer."""

    def __init__(self, when: str, retry_after: int) -> None:
        super().__init__(f"The deadline passed {when}.")
        self.retry_after = retry_after


class Job(Generic[T]):
    """Work handed to the engine: its result is in ``future``, times are monotonic seconds."""

    def __init__(self, work: "Callable[[Job[T]], T]", deadline: float) -> None:
        self.work = work
        self.deadline = deadline
        self.future: Future[T] = Future()
        self.submitted = time.monotonic()
        self.started = math.nan
        self.finished = math.nan
        self.cancelled = False


class Engine:
    """Runs jobs one after the other in its own thread, in the order they came."""

    def __init__(self, capacity: int, prepare: Callable[[], None]) -> None:
        """``capacity`` jobs may wait; ``prepare`` runs first in the engine's thread."""
        self.draining = False
        self._capacity = capacity
        self._prepare = prepare
        self._waiting: deque[Job[Any]] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._job_seconds = 1.0
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    @property
    def waiting(self) -> int:
        """How many jobs wait for their turn."""
        return len(self._waiting)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def submit(self, work: Callable[[Job[T]], T], deadline: float = math.inf) -> Job[T]:
        """Queue ``work``, which is called with its job. Raises QueueFull or ShuttingDown."""
        job = Job(work, deadline)
        with self._changed:
            if self.draining or self._closed:
                raise ShuttingDown
            if len(self._waiting) >= self._capacity:
                raise QueueFull(len(self._waiting), self._wait_seconds())
            self._waiting.append(job)
            self._changed.notify()
        return job

    def cancel(self, job: Job[Any]) -> None:
        """Give a waiting job's place free at once; a running one sees ``job.cancelled``."""
        job.cancelled = True
        with self._changed:
            if job in self._waiting:
                self._waiting.remove(job)
                job.future.cancel()

    def late(self, when: str) -> DeadlinePassed:
        """What to raise when a deadline has passed; ``when`` ends the sentence."""
        return DeadlinePassed(when, self._wait_seconds())

    def drain(self) -> None:
        """Take no new jobs and let those at hand see it. Sets a flag only: safe in a signal handler."""
        self.draining = True

    def close(self) -> None:
        """Finish the jobs at hand, then end the thread."""
        self.drain()
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        self._prepare()
        while (job := self._next()) is not None:
            self._execute(job)

    def _next(self) -> Job[Any] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            return self._waiting.popleft() if self._waiting else None

    def _execute(self, job: Job[Any]) -> None:
        if not job.future.set_running_or_notify_cancel():
            return
        job.started = time.monotonic()
        try:
            if job.started >= job.deadline:
                raise self.late("while the request was waiting for its turn")
            result = job.work(job)
        except Exception as error:  # whatever went wrong belongs to whoever waits for this job
            job.future.set_exception(error)
        else:
            job.finished = time.monotonic()
            self._job_seconds = job.finished - job.started
            job.future.set_result(result)

    def _wait_seconds(self) -> int:
        return max(1, math.ceil((len(self._waiting) + 1) * self._job_seconds))
