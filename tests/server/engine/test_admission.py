"""Who is taken, and who would be promised what cannot be kept."""

import math
import time
from dataclasses import dataclass
from typing import Any

import pytest

from server.engine.admission import admit
from server.engine.jobs import Job
from server.engine.task import Work, go_on
from server.errors import PredictedLate, QueueFull, QuotaExceeded


@dataclass
class Nothing:
    """A task that is never begun."""

    least: float = 1.0
    kind: str = "call"
    who: str = "test"
    amount: float = 1.0

    def work(self, device: str) -> Work[None]:
        yield from go_on()


@pytest.fixture(autouse=True)
def standstill(monkeypatch: pytest.MonkeyPatch) -> None:
    """No time passes while jobs are made and admitted."""
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0)


def job(seconds: float, until: float = math.inf, caller: str = "", least: float = 1.0) -> Job[Any]:
    """Work of so many seconds that is to be done so many seconds from now."""
    return Job(Nothing(least), "cpu", time.monotonic() + until, seconds, caller, None)


def test_one_caller_has_a_quota() -> None:
    others = [job(3, caller="ada"), job(3, caller="bob")]
    with pytest.raises(QuotaExceeded, match="1 requests of this key") as refusal:
        admit(job(1, caller="ada"), others, 8, 1)
    assert refusal.value.retry_after == 3
    admit(job(1, caller="eve"), others, 8, 1)


def test_as_many_wait_as_may() -> None:
    others = [job(3), job(3)]
    admit(job(1), others, 2, math.inf)
    with pytest.raises(QueueFull, match="1 requests are already waiting") as refusal:
        admit(job(1), others, 1, math.inf)
    assert refusal.value.retry_after == 7


def test_an_idle_engine_takes_everything() -> None:
    admit(job(60, until=1), [], 8, math.inf)


def test_what_cannot_be_done_in_time_is_refused() -> None:
    late = job(3, until=4)
    with pytest.raises(PredictedLate, match=r"2\.0 s comes first") as refusal:
        admit(late, [job(2, until=3)], 8, math.inf)
    assert late.wait == 2 and refusal.value.retry_after == 1
    admit(job(3, until=6), [job(2, until=3)], 8, math.inf)


def test_promises_to_others_are_kept() -> None:
    with pytest.raises(PredictedLate, match="another one"):
        admit(job(3, until=3.5), [job(3, until=4)], 8, math.inf)
    admit(job(0.5, until=2), [job(3, until=4)], 8, math.inf)
    # Nobody was promised anything by a job without a deadline.
    admit(job(3, until=3.5), [job(3)], 8, math.inf)


def test_work_that_can_be_cut_needs_time_for_its_first_answer_only() -> None:
    others = [job(3, until=4)]
    admit(job(30, until=5, least=0.05), others, 8, math.inf)
    with pytest.raises(PredictedLate):
        admit(job(30, until=5, least=0.5), others, 8, math.inf)


def test_work_takes_no_longer_than_until_its_deadline() -> None:
    admit(job(1, until=4), [job(30, until=2, least=0.01)], 8, math.inf)
