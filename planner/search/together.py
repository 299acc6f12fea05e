"""Several episodes at once: what they imagine is computed in common batches, with the bits of each alone.

An episode is any work that waits for roll-outs; whatever else it yields is answered by None.
"""

import time
from collections.abc import Callable, Generator, Sequence
from typing import Any, Generic, TypeVar, cast

from planner.search.batching import Batcher, Question
from planner.search.rollout import RollOut

T = TypeVar("T")


class Stopwatch:
    """Seconds that were spent on one episode: its own, and its share of common batches, by rows.

    It stands while others are worked for.
    """

    def __init__(self) -> None:
        self._seconds, self._since = 0.0, time.perf_counter()

    def __call__(self) -> float:
        """Seconds so far; to be asked while the episode is worked for."""
        return self._seconds + time.perf_counter() - self._since

    def go_on(self) -> None:
        """The episode is worked for from now on."""
        self._since = time.perf_counter()

    def stop(self) -> None:
        """Others are worked for from now on."""
        self._seconds = self()

    def add(self, seconds: float) -> None:
        """A share of work for several."""
        self._seconds += seconds


class _Running(Generic[T]):
    """An episode that is under way, and what it waits for."""

    def __init__(self, begin: Callable[[Stopwatch], Generator[Any, Any, T]]) -> None:
        self.stopwatch = Stopwatch()
        self._episode = begin(self.stopwatch)
        self.ended = False
        self.outcome: T | None = None
        self._go_on(None)

    def take_answer(self) -> None:
        """Go on with what it waited for."""
        self.stopwatch.go_on()
        self._go_on(self.question.answer())

    def _go_on(self, answer: Any) -> None:
        """Until it waits for the next roll-out, or ends."""
        try:
            while not isinstance(asked := self._episode.send(answer), RollOut):
                answer = None
            self.question = Question(asked)
        except StopIteration as end:
            self.ended, self.outcome = True, end.value
        self.stopwatch.stop()


def run_together(begin: Sequence[Callable[[Stopwatch], Generator[Any, Any, T]]], device: str) -> list[T]:
    """Run episodes to their ends, side by side; each is begun with the clock that it takes its times from.

    Roll-outs of one kind share batches on ``device``; others are computed one after the other.
    """
    batcher = Batcher(device)
    episodes = [_Running(each) for each in begin]
    while waiting := [each for each in episodes if not each.ended]:
        first = waiting[0].question
        alike = waiting[:1]
        if batcher.has_room(first):
            alike = [each for each in waiting if each.question.roll_out.kind == first.roll_out.kind]
        _answer(batcher, alike)
    return [cast(T, each.outcome) for each in episodes]


def _answer(batcher: Batcher, alike: Sequence[_Running[Any]]) -> None:
    """Compute until all of them have what they wait for, and let them go on."""
    while waiting := [each for each in alike if each.question.left]:
        begun = time.perf_counter()
        batch = batcher.compute([each.question for each in waiting])
        seconds = time.perf_counter() - begun
        shares = {id(question): rows for question, rows in batch.shares}
        for each in waiting:
            each.stopwatch.add(seconds * shares.get(id(each.question), 0) / batch.rows)
    for each in alike:
        each.take_answer()
