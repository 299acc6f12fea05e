"""Work done before the first request: kernels are chosen, memory is found, and what work takes is learned."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from planner.loaded import Ready
from server.engine.forecast import Forecast
from server.engine.task import Task, Work

SmallTasks = Callable[[Ready], Iterable[Task[Any]]]
"""Work of every sort that a model will be asked for."""


@dataclass(frozen=True)
class WarmUp:
    """Every kind of work that the models are asked for, done twice: the first, cold time says little.

    ``seconds`` is filled with what each model took, by its name. The forecast learns only if nothing else is
    done meanwhile: time that others take is no time of this work.
    """

    models: Sequence[Ready]
    small_tasks: SmallTasks
    forecast: Forecast
    seconds: dict[str, float]
    learns: bool = True

    kind: ClassVar[str] = "warm-up"
    who: ClassVar[str] = "all"
    amount: ClassVar[float] = 1.0
    least: ClassVar[float] = 1.0

    def work(self, device: str) -> Work[None]:
        """Do it. Raises Interrupted when the server is shut down meanwhile."""
        for model in self.models:
            begun = time.monotonic()
            for task in self.small_tasks(model):
                for _ in range(2):
                    started = time.monotonic()
                    yield from task.work(device)
                    if self.learns:
                        self.forecast.learn(task.kind, task.who, task.amount, time.monotonic() - started)
            self.seconds[model.name] = time.monotonic() - begun
