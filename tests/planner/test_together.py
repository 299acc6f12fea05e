"""Episodes side by side: common batches, answers of each, time by share."""

import pytest
import torch

from planner.episode import Outcome
from planner.search import together
from planner.search.rollout import RollOut
from planner.search.together import Stopwatch, run_together


@pytest.fixture
def heights() -> list[int]:
    """Rows of every call."""
    return []


@pytest.fixture
def episode(heights):
    """``episode(start, steps)`` begins one that adds 1 at every step, by roll-outs of 4 rows."""

    def add(rows):
        heights.append(len(rows))
        return rows + 1

    def begin(start, steps, kind="add"):
        def run(clock):
            value = torch.full((4, 1), float(start))
            for _ in range(steps):
                value = yield RollOut(kind, add, (value,), 4)
                assert (yield None) is None
            values = [{"value": float(row)} for row in value]
            return Outcome(frames=[], measures=values, step_seconds=[clock()])

        return run

    return begin


def test_every_episode_ends_as_if_alone(episode, heights):
    ends = run_together([episode(0, 3), episode(10, 1), episode(20, 0), episode(30, 5)], "cpu")
    assert [end.measures for end in ends] == [[{"value": value}] * 4 for value in (3.0, 11.0, 20.0, 35.0)]
    assert max(heights) == 8, "two of the three that wait fill a batch"


def test_what_may_not_be_shared_is_computed_alone(episode, heights):
    run_together([episode(0, 2, None), episode(10, 2, None)], "cpu")
    assert heights == [4] * 4


def test_time_is_shared_by_rows(episode, monkeypatch):
    now = 0.0

    def tick():
        nonlocal now
        now += 1.0
        return now

    monkeypatch.setattr(together.time, "perf_counter", tick)
    ends = run_together([episode(0, 2), episode(0, 2)], "cpu")
    one, other = (end.step_seconds[0] for end in ends)
    assert one == other, "equal work takes equal time"
    assert one + other < now, "nobody pays for what others take"


def test_stopwatch_stands_while_others_are_worked_for(monkeypatch):
    times = iter([0.0, 3.0, 10.0, 11.0])
    monkeypatch.setattr(together.time, "perf_counter", lambda: next(times))
    watch = Stopwatch()  # 0
    watch.stop()  # 3
    watch.go_on()  # 10
    watch.add(0.5)
    assert watch() == 3.0 + 0.5 + 1.0
