"""The engine: the earliest deadline first, in one thread, with a bounded queue and kept promises."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from typing import Any

import pytest

from server.engine.engine import Engine
from server.engine.jobs import Monitor
from server.engine.task import Work, go_on
from server.errors import DeadlinePassed, PredictedLate, QueueFull, QuotaExceeded, ShuttingDown


@dataclass
class Call:
    """A task in one piece, or in the pieces of a generator."""

    function: Callable[[], Any] = lambda: None
    pieces: Callable[[], Work[Any]] | None = None
    kind: str = "call"
    who: str = "test"
    amount: float = 1.0
    least: float = 1.0

    def work(self, device: str) -> Work[Any]:
        if self.pieces is not None:
            return (yield from self.pieces())
        yield from go_on()
        return self.function()


@dataclass
class Notes(Monitor):
    batches: list[tuple[int, int, int]] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    def batched(self, rows: int, slots: int, jobs: int, seconds: float) -> None:
        self.batches.append((rows, slots, jobs))

    def finished(self, kind: str, who: str, outcome: str, queue: float, compute: float) -> None:
        self.outcomes.append(outcome)

    def refused(self, kind: str, reason: str) -> None:
        self.reasons.append(reason)


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def engine(notes: Notes) -> Iterator[Engine]:
    engine = Engine("cpu", capacity=2, prepare=lambda: None, monitor=notes)
    engine.start()
    yield engine
    engine.close()


@pytest.fixture
def gate(engine: Engine) -> Iterator[threading.Event]:
    """Holds the engine busy until it is set."""
    gate, busy = threading.Event(), threading.Event()

    def wait() -> None:
        busy.set()
        gate.wait(20)

    engine.submit(Call(wait))
    assert busy.wait(20)
    yield gate
    gate.set()


def soon(seconds: float = 20.0) -> float:
    return time.monotonic() + seconds


def test_refusals_are_counted(engine: Engine, gate: threading.Event, notes: Notes) -> None:
    engine.submit(Call(), caller="ada", quota=1)
    with pytest.raises(QuotaExceeded):
        engine.submit(Call(), caller="ada", quota=1)
    engine.forecast.learn("call", "test", 1.0, 3.0)
    with pytest.raises(PredictedLate):
        engine.submit(Call(), soon(1.5))
    assert notes.reasons == ["quota", "predicted-late"]


@pytest.mark.parametrize(("sooner", "expected"), [(10, [1, 0]), (0, [0, 1])])
def test_the_earliest_deadline_goes_first_in_one_thread(
    engine: Engine, gate: threading.Event, sooner: float, expected: list[int]
) -> None:
    order: list[int] = []
    until = soon(20)
    jobs = [
        engine.submit(Call(lambda i=i: order.append(i) or threading.get_ident()), until - sooner * i)
        for i in range(2)
    ]
    gate.set()
    threads = {job.future.result(20) for job in jobs}
    assert order == expected and len(threads) == 1 and threading.get_ident() not in threads
    assert all(job.submitted <= job.finished and job.computed > 0 for job in jobs)


def test_prepare_runs_in_the_engine_thread() -> None:
    seen: list[int] = []
    engine = Engine("cpu", 1, lambda: seen.append(threading.get_ident()))
    engine.start()
    assert engine.submit(Call(threading.get_ident)).future.result(20) == seen[0]
    engine.close()


def test_full_queue_refuses_and_a_cancelled_job_makes_room(
    engine: Engine, gate: threading.Event, notes: Notes
) -> None:
    ran: list[str] = []
    first = engine.submit(Call(lambda: ran.append("first")))
    second = engine.submit(Call(lambda: ran.append("second")))
    with pytest.raises(QueueFull) as refusal:
        engine.submit(Call())
    assert refusal.value.retry_after >= 1 and notes.reasons == ["queue-full"]
    engine.cancel(first)
    third = engine.submit(Call(lambda: ran.append("third")))
    gate.set()
    second.future.result(20)
    third.future.result(20)
    assert first.future.cancelled() and ran == ["second", "third"]
    assert notes.outcomes.count("cancelled") == 1


def test_work_that_nobody_waits_for_is_closed_at_its_next_pause(engine: Engine, notes: Notes) -> None:
    turned, closed = threading.Event(), threading.Event()

    def forever() -> Work[None]:
        try:
            while True:
                turned.set()
                time.sleep(0.001)
                yield None
        finally:
            closed.set()

    job = engine.submit(Call(pieces=forever))
    assert turned.wait(20)
    engine.cancel(job)
    assert closed.wait(20)
    with pytest.raises(CancelledError):
        job.future.result(20)
    assert job.future.cancelled() and engine.unfinished == 0


def test_job_whose_deadline_passed_in_the_queue_never_runs(
    engine: Engine, gate: threading.Event, clock: Any
) -> None:
    late = engine.submit(Call(lambda: pytest.fail("ran")), clock.now + 0.05)
    clock.sleep(0.1)
    gate.set()
    with pytest.raises(DeadlinePassed, match="waiting for its turn"):
        late.future.result(20)


def test_a_piece_that_would_miss_the_deadline_is_not_begun(engine: Engine, clock: Any) -> None:
    turns: list[float] = []

    def pieces() -> Work[str]:
        while True:
            clock.sleep(1.0)
            turns.append(clock.now)
            if (reason := (yield None)) is not None:
                return reason

    deadline = clock.now + 4.5
    job = engine.submit(Call(pieces=pieces), deadline)
    assert job.future.result(20) == "deadline"
    assert len(turns) == 4 and clock.now == turns[-1] < deadline


def test_listeners_hear_what_is_told(engine: Engine) -> None:
    heard: list[Any] = []

    def pieces() -> Work[None]:
        assert (yield "one") is None
        assert (yield "two") is None

    engine.submit(Call(pieces=pieces), listener=heard.append).future.result(20)
    assert heard == ["one", "two"]


def test_failure_belongs_to_its_job(engine: Engine, notes: Notes) -> None:
    with pytest.raises(ZeroDivisionError):
        engine.submit(Call(lambda: 1 // 0)).future.result(20)
    assert engine.submit(Call(lambda: "fine")).future.result(20) == "fine"
    assert notes.outcomes == ["error", "ok"]


def test_draining_refuses_and_tells_those_at_hand(engine: Engine, gate: threading.Event) -> None:
    def pieces() -> Work[str]:
        return (yield None)

    waiting = engine.submit(Call(pieces=pieces))
    unanswerable = engine.submit(Call())
    engine.drain()
    with pytest.raises(ShuttingDown):
        engine.submit(Call())
    gate.set()
    engine.close()
    assert waiting.future.result(0) == "cancelled"
    with pytest.raises(ShuttingDown):
        unanswerable.future.result(0)


def test_an_engine_that_fails_says_so_and_leaves_nobody_waiting() -> None:
    class Broken(Notes):
        def finished(self, *_: Any) -> None:
            if not self.outcomes:
                self.outcomes.append("once")
                raise MemoryError("the monitor")

    engine = Engine("cpu", 2, lambda: None, Broken())
    jobs = [engine.submit(Call()) for _ in range(2)]
    engine.start()
    for job in jobs:
        with pytest.raises(RuntimeError, match="engine has failed"):
            job.future.result(20)
    engine.close()
    assert engine.failed and not engine.alive
    with pytest.raises(ShuttingDown):
        engine.submit(Call())


def test_giving_up_at_any_moment_harms_nobody(engine: Engine) -> None:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        until = time.monotonic() + 1.0
        while time.monotonic() < until:
            engine.cancel(engine.submit(Call()))
    finally:
        sys.setswitchinterval(before)
    assert engine.submit(Call(lambda: "fine")).future.result(20) == "fine"
    assert not engine.failed and engine.unfinished == 0
