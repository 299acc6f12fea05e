"""One thread that computes, and what waits for it.

Torch is used from this thread only: the number of threads it computes with is a property of the
calling thread, results depend on it, and a device is fastest when one thread feeds it. The engine
knows nothing of HTTP. Work comes in pieces: the job with the earliest deadline goes first, and roll-outs of
others that fit into its batch are computed with it.
"""

import logging
import math
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import torch

from planner.search.batching import Batcher, Question
from planner.search.rollout import Interrupted, Interruption, RollOut
from server.engine.admission import admit, check_room, whole
from server.engine.forecast import Forecast
from server.engine.jobs import Job, Listener, Monitor, failure_of, outcome_of
from server.engine.task import Task
from server.errors import DeadlinePassed, Refused, ShuttingDown

T = TypeVar("T")


class Engine:
    """Works on many jobs in one thread of its own."""

    def __init__(
        self,
        device: str,
        capacity: int,
        prepare: Callable[[], None],
        monitor: Monitor | None = None,
        finish: Callable[[], None] = lambda: None,
    ) -> None:
        """``capacity`` jobs may wait beside one; its thread begins with ``prepare``, ends with ``finish``."""
        self.draining, self._drained, self.failed = False, math.inf, False
        self.forecast = Forecast()
        self.batcher = Batcher(device)
        self._device = device
        self._capacity = capacity
        self._prepare = prepare
        self._finish = finish
        self._monitor = monitor or Monitor()
        self._jobs: list[Job[Any]] = []
        self._changed = threading.Condition(threading.RLock())
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    @property
    def unfinished(self) -> int:
        """Jobs that are waiting or being worked on."""
        return len(self._jobs)

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def submit(
        self,
        task: Task[T],
        deadline: float = math.inf,
        *,
        caller: str = "",
        quota: float = math.inf,
        listener: Listener | None = None,
    ) -> Job[T]:
        """Take work that is to be done by ``deadline``, for a caller who may have ``quota`` unfinished jobs.

        ``listener`` is called with the events of the work, in the engine's thread.

        Raises:
            Refused: it is not taken.
        """
        predicted = self.forecast.seconds(task.kind, task.who, task.amount)
        job = Job(task, self._device, deadline, predicted, caller, listener)
        try:
            with self._changed:
                if self.draining or self._closed or self.failed:
                    raise ShuttingDown
                admit(job, self._jobs, self._capacity, quota)
                self._jobs.append(job)
                self._jobs.sort(key=lambda job: job.order)
                self._changed.notify()
        except Refused as refusal:
            self._monitor.refused(task.kind, refusal.reason)
            raise
        return job

    def check_room(self) -> None:
        """Refuse work before it is looked at, if any would be: reading takes time from those at work.

        Raises:
            QueueFull: as many wait as may.
        """
        try:
            with self._changed:
                check_room(self._jobs, self._capacity, sum(job.left for job in self._jobs))
        except Refused as refusal:
            self._monitor.refused("unread", refusal.reason)
            raise

    def cancel(self, job: Job[Any]) -> None:
        """Nobody waits for the job any more: it ends after its current piece, if it has not ended."""
        job.cancelled = True
        with self._changed:
            waits = job.state == "fresh" and job in self._jobs
            if waits:
                self._remove(job)
        if waits:
            self._drop(job)

    def drain(self) -> None:
        """Take no new jobs and let those at hand see it. Sets flags only: safe in a signal handler."""
        self._drained = time.monotonic()
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
        jobs: list[Job[Any]] = []
        try:
            self._prepare()
            with torch.inference_mode():
                while jobs := self._at_hand():
                    self._turn(jobs)
            self._finish()
        except BaseException:
            self.failed = True
            logging.getLogger(__name__).critical("The engine has failed", exc_info=True)
            for job in {*jobs, *self._jobs}:
                if not job.future.done():
                    job.future.set_exception(RuntimeError("the engine has failed"))

    def _at_hand(self) -> list[Job[Any]]:
        """The unfinished jobs in their order, once there are any; none when the engine is to end."""
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self._closed)
            return list(self._jobs)

    def _turn(self, jobs: list[Job[Any]]) -> None:
        """Give the first job what it needs next, and others like it what they need to join in."""
        waiting = [job for job in jobs if self._goes_on(job)]
        for job in waiting:
            if job.state == "answered":
                self._advance(job)
        waiting = [job for job in waiting if not job.ended]
        if not waiting:
            return
        first = waiting[0]
        if first.question is None:
            self._advance(first)
            return
        alike = [first]
        if self.batcher.has_room(first.question):
            for job in 2 * waiting[1:]:  # work lets others in once before it asks
                if job.label == first.label and job.question is None and not job.ended:
                    self._advance(job)
            alike += [job for job in waiting[1:] if job.asks_like(first)]
        self._compute(alike)

    def _goes_on(self, job: Job[Any]) -> bool:
        """Whether there is still something to do for a job: it is neither given up nor out of time."""
        now = time.monotonic()
        if job.ended:
            return False
        if job.cancelled and self._claim(job):
            self._remove(job)
            self._drop(job)
        elif job.state == "fresh" and now >= job.deadline:
            if self._claim(job):
                self._fail(job, self._late("while the request was waiting for its turn"))
        elif job.state == "asking" and now >= job.deadline:
            self._advance(job, Interrupted("deadline"))
        elif job.state == "asking" and self.draining and now >= self._drained + _DRAIN_SECONDS:
            self._advance(job, Interrupted("cancelled"))
        return not job.ended

    def _claim(self, job: Job[Any]) -> bool:
        """Take a job in hand; False if it was given up while it was waiting."""
        with self._changed:
            if job.state == "fresh":
                job.state = "begun"
            return not job.ended

    def _advance(self, job: Job[Any], interrupted: Interrupted | None = None) -> None:
        """Send a job the answer it waits for; it goes on until it asks for a roll-out or lets others in."""
        if not self._claim(job):
            return
        begun = time.monotonic()
        if job.state == "paused":
            job.answer = self._interruption(job)
        try:
            asked = job.work.send(job.answer) if interrupted is None else job.work.throw(interrupted)
            while True:
                now = time.monotonic()
                job.computed, begun, job.answer = job.computed + now - begun, now, None
                if isinstance(asked, RollOut):
                    job.state, job.question = "asking", Question(asked)
                    return
                job.turn()
                if asked is not None:
                    job.publish(asked)
                if asked is None or job.cancelled:
                    job.state = "paused"
                    return
                asked = job.work.send(self._interruption(job))
        except StopIteration as end:
            job.computed += time.monotonic() - begun
            self._succeed(job, end.value)
        except Interrupted as stopped:
            late = stopped.reason == "deadline"
            self._fail(job, self._late("before the work was done") if late else ShuttingDown())
        except Exception as error:  # whatever went wrong belongs to whoever waits for this job
            self._fail(job, error)

    def _compute(self, jobs: list[Job[Any]]) -> None:
        """One batch for the first job and others alike."""
        begun = time.monotonic()
        asking = {job.question: job for job in jobs if job.question is not None}
        try:
            batch = self.batcher.compute(list(asking))
        except Exception as error:
            if len(jobs) > 1:  # it need not be the first one's fault
                self._compute(jobs[:1])
            else:
                self._fail(jobs[0], error)
            return
        seconds = time.monotonic() - begun
        self._monitor.batched(batch.rows, batch.height, len(batch.shares), seconds)
        for question, share in batch.shares:
            job = asking[question]
            job.computed += seconds * share / batch.rows
            if not question.left:
                job.state, job.question, job.answer = "answered", None, question.answer()

    def _interruption(self, job: Job[Any]) -> Interruption | None:
        """Whether a job is to end now: another turn must leave the time that its end takes."""
        if self.draining:
            return "cancelled"
        end = self.forecast.seconds(*job.end_label)
        return "deadline" if time.monotonic() + job.slowest + end > job.deadline else None

    def _succeed(self, job: Job[T], result: T) -> None:
        task = job.task
        outcome = outcome_of(result)
        learn = self.forecast.learn if outcome == "ok" else self.forecast.learn_more
        learn(task.kind, task.who, task.amount, job.computed)
        self.forecast.learn(*job.end_label, job.since)
        self._end(job, outcome)
        if job.future.set_running_or_notify_cancel():
            job.future.set_result(result)

    def _fail(self, job: Job[Any], error: Exception) -> None:
        self._end(job, failure_of(error))
        if job.future.set_running_or_notify_cancel():
            job.future.set_exception(error)

    def _drop(self, job: Job[Any]) -> None:
        self._end(job, "cancelled")
        job.future.cancel()

    def _remove(self, job: Job[Any]) -> None:
        """From now on the job is none; who did not do this must not end it."""
        with self._changed:
            job.state = "ended"
            self._jobs.remove(job)

    def _end(self, job: Job[Any], outcome: str) -> None:
        if not job.ended:
            self._remove(job)
        job.question, job.finished = None, time.monotonic()
        with suppress(Exception):
            job.work.close()
        waited = job.finished - job.submitted - job.computed
        self._monitor.finished(job.task.kind, job.task.who, outcome, waited, job.computed)

    def _late(self, when: str) -> DeadlinePassed:
        return DeadlinePassed(when, whole(sum(job.left for job in self._jobs)))


_DRAIN_SECONDS = 3.0
"""How long roll-outs go on after the last job was taken; then searches end with what they have."""
