"""The engine: one job at a time, in order, with a bounded queue that cancelled jobs leave at once."""

import threading
import time
from collections.abc import Iterator

import pytest

from server.engine import DeadlinePassed, Engine, Job, QueueFull, ShuttingDown


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = Engine(capacity=2, prepare=lambda: None)
    engine.start()
    yield engine
    engine.close()


@pytest.fixture
def gate(engine: Engine) -> Iterator[threading.Event]:
    """Holds the engine busy until it is set."""
    gate, busy = threading.Event(), threading.Event()

    def work(job: Job[None]) -> None:
        busy.set()
        gate.wait(20)

    engine.submit(work)
    assert busy.wait(20)
    yield gate
    gate.set()


def test_jobs_run_in_order_in_one_thread(engine: Engine, gate: threading.Event) -> None:
    order: list[int] = []
    jobs = [engine.submit(lambda job, i=i: order.append(i) or threading.get_ident()) for i in range(2)]
    gate.set()
    threads = {job.future.result(20) for job in jobs}
    assert order == [0, 1] and len(threads) == 1 and threading.get_ident() not in threads
    assert jobs[0].submitted <= jobs[0].started <= jobs[0].finished <= jobs[1].started


def test_prepare_runs_in_the_engine_thread() -> None:
    seen: list[int] = []
    engine = Engine(1, lambda: seen.append(threading.get_ident()))
    engine.start()
    assert engine.submit(lambda job: threading.get_ident()).future.result(20) == seen[0]
    engine.close()


def test_full_queue_refuses_and_a_cancelled_job_makes_room(engine: Engine, gate: threading.Event) -> None:
    ran: list[str] = []
    first = engine.submit(lambda job: ran.append("first"))
    second = engine.submit(lambda job: ran.append("second"))
    with pytest.raises(QueueFull) as refusal:
        engine.submit(lambda job: None)
    assert refusal.value.retry_after >= 1
    engine.cancel(first)
    third = engine.submit(lambda job: ran.append("third"))
    gate.set()
    second.future.result(20)
    third.future.result(20)
    assert first.future.cancelled() and ran == ["second", "third"]


def test_running_job_sees_that_it_is_cancelled(engine: Engine) -> None:
    started = threading.Event()

    def work(job: Job[str]) -> str:
        started.set()
        while not job.cancelled:
            time.sleep(0.001)
        return "stopped"

    job = engine.submit(work)
    assert started.wait(20)
    engine.cancel(job)
    assert job.future.result(20) == "stopped"


def test_job_whose_deadline_passed_in_the_queue_never_runs(engine: Engine, gate: threading.Event) -> None:
    late = engine.submit(lambda job: pytest.fail("ran"), deadline=time.monotonic() - 1)
    gate.set()
    with pytest.raises(DeadlinePassed):
        late.future.result(20)


def test_failure_belongs_to_its_job(engine: Engine) -> None:
    with pytest.raises(ZeroDivisionError):
        engine.submit(lambda job: 1 // 0).future.result(20)
    assert engine.submit(lambda job: "fine").future.result(20) == "fine"


def test_close_finishes_what_was_accepted(engine: Engine, gate: threading.Event) -> None:
    waiting = engine.submit(lambda job: engine.draining)
    engine.drain()
    with pytest.raises(ShuttingDown):
        engine.submit(lambda job: None)
    gate.set()
    engine.close()
    assert waiting.future.result(0) is True
