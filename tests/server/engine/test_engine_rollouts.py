"""Roll-outs in the engine: shared where they are alike, given up when there is no time for them."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from planner.search.rollout import Interrupted, RollOut
from server.engine.engine import Engine
from server.engine.jobs import Monitor
from server.engine.task import Work, go_on


@dataclass
class Pieces:
    """A task in the pieces of a generator."""

    pieces: Callable[[], Work[Any]]
    kind: str = "pieces"
    who: str = "test"
    amount: float = 1.0
    least: float = 1.0

    def work(self, device: str) -> Work[Any]:
        return (yield from self.pieces())


@pytest.fixture
def batches() -> list[tuple[int, int, int]]:
    """Rows in use, places and jobs of every batch."""
    return []


@pytest.fixture
def engine(batches: list[tuple[int, int, int]]) -> Iterator[Engine]:
    class Notes(Monitor):
        def batched(self, rows: int, slots: int, jobs: int, seconds: float) -> None:
            batches.append((rows, slots, jobs))

    engine = Engine("cpu", capacity=2, prepare=lambda: None, monitor=Notes())
    engine.start()
    yield engine
    engine.close()


@pytest.fixture
def gate(engine: Engine) -> Iterator[threading.Event]:
    """Holds the engine busy until it is set."""
    gate, busy = threading.Event(), threading.Event()

    def wait() -> Work[None]:
        busy.set()
        gate.wait(20)
        yield from go_on()

    engine.submit(Pieces(wait))
    assert busy.wait(20)
    yield gate
    gate.set()


def test_a_roll_out_is_given_up_at_the_deadline(engine: Engine, clock: Any) -> None:
    ended: list[float] = []

    def slow(rows: Tensor) -> Tensor:
        clock.sleep(1.0)
        ended.append(clock.now)
        return rows

    def pieces() -> Work[str]:
        try:
            yield RollOut("slow", slow, (torch.zeros(10_000, 1),), 256)
        except Interrupted as interrupted:
            return interrupted.reason
        return "all"

    deadline = clock.now + 3.5
    assert engine.submit(Pieces(pieces), deadline).future.result(20) == "deadline"
    assert len(ended) == 4 and ended[-2] < deadline < ended[-1] == clock.now


def test_a_roll_out_that_fails_does_not_take_others_along(engine: Engine, gate: threading.Event) -> None:
    def picky(rows: Tensor) -> Tensor:
        if bool((rows < 0).any()):
            raise RuntimeError("negative")
        return rows

    def pieces(sign: int) -> Callable[[], Work[Tensor]]:
        def ask() -> Work[Tensor]:
            return (yield RollOut("picky", picky, (torch.full((1, 1), float(sign)),), 4))

        return ask

    bad, good = (engine.submit(Pieces(pieces(sign))) for sign in (-1, 1))
    gate.set()
    with pytest.raises(RuntimeError, match="negative"):
        bad.future.result(20)
    assert good.future.result(20).tolist() == [[1.0]]


def test_work_of_the_same_sort_joins_in(
    engine: Engine, gate: threading.Event, batches: list[tuple[int, int, int]]
) -> None:
    weights = torch.randn(8, 8, generator=torch.Generator().manual_seed(0))

    def pieces() -> Work[Tensor]:
        yield from go_on()
        return (yield RollOut("product", lambda rows: rows @ weights, (torch.ones(3, 8),), 16))

    jobs = [engine.submit(Pieces(pieces)) for _ in range(2)]
    gate.set()
    first, second = (job.future.result(20) for job in jobs)
    assert batches == [(6, 16, 2)] and torch.equal(first, second)


def test_long_roll_outs_are_given_up_some_time_after_draining(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.engine.engine._DRAIN_SECONDS", 0.1)
    begun = threading.Event()

    def slow(rows: Tensor) -> Tensor:
        begun.set()
        time.sleep(0.02)
        return rows

    def pieces() -> Work[str]:
        try:
            yield RollOut(None, slow, (torch.zeros(10_000, 1),), 16)
        except Interrupted as interrupted:
            return interrupted.reason
        return "all"

    job = engine.submit(Pieces(pieces))
    assert begun.wait(20)
    engine.drain()
    assert job.future.result(20) == "cancelled"
