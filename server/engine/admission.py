"""Whether work is taken, by what it would do to the deadlines that were promised."""

import math
import time
from collections.abc import Sequence
from typing import Any

from server.engine.jobs import Job
from server.errors import PredictedLate, QueueFull, QuotaExceeded


def admit(job: Job[Any], others: Sequence[Job[Any]], capacity: int, quota: float) -> None:
    """Take a job beside the ``others`` that are unfinished, of whom ``capacity`` may wait; notes its wait.

    An idle engine takes everything: how long work takes can only be learned from work.

    Raises:
        QuotaExceeded: its caller has ``quota`` unfinished ones.
        QueueFull: as many wait as may.
        PredictedLate: it, or one that comes after it, would miss its deadline.
    """
    job.wait = sum(other.left for other in others if other.order < job.order)
    if sum(other.caller == job.caller for other in others) >= quota:
        raise QuotaExceeded(int(quota), whole(min(other.left for other in others)))
    check_room(others, capacity, job.wait + job.predicted)
    if others and (late := _late_by(job, others)) > 0:
        raise PredictedLate(job.wait, whole(late))


def check_room(others: Sequence[Job[Any]], capacity: int, wait: float) -> None:
    """Raises QueueFull if ``capacity`` jobs wait beside one at work; there is room in ``wait`` seconds."""
    if len(others) > capacity:
        raise QueueFull(len(others) - 1, whole(wait))


def whole(seconds: float) -> int:
    """Whole seconds to wait, at least one."""
    return max(1, math.ceil(seconds))


def _late_by(job: Job[Any], others: Sequence[Job[Any]]) -> float:
    """The most seconds by which a job would be late if this one were taken, 0 if none."""
    now = reached = time.monotonic()
    late = 0.0
    for other in sorted([*others, job], key=lambda job: job.order):
        if other is job or (job.order < other.order and other.deadline < math.inf):
            late = max(late, reached + max(0.0, other.needed - other.computed) - other.deadline)
        reached += min(other.left, max(0.0, other.deadline - now))
    return late
