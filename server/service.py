"""The models that are loaded, and the engine that works with them.

Knows nothing of HTTP: tasks come in, outcomes go out, trouble as exceptions.
"""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from typing import TypeVar

import torch

from planner.build import ReadyModel, ReadyPlanner, ReadyWorldModel, pushes
from planner.hierarchy import Interruption, never
from server.action_tasks import example_action, objectives
from server.engine import Engine, Job, ShuttingDown
from server.plan_store import PlanStore
from server.plan_tasks import example_plan
from server.settings import Settings
from server.tasks import Task, Unfinished
from server.world_tasks import example_prediction

Load = Callable[[str, str], ReadyPlanner | ReadyWorldModel]
M = TypeVar("M", bound=ReadyModel)
T = TypeVar("T")


class UnknownModel(LookupError):
    """No model of that name is loaded, or none at all that could answer."""

    def __init__(self, available: Iterable[str]) -> None:
        super().__init__(f"There is no such model here; available: {', '.join(available) or 'none'}.")


class WrongModel(ValueError):
    """The model that was named is loaded, but is not of the kind that answers such requests."""

    def __init__(self, name: str, available: Iterable[str]) -> None:
        super().__init__(f"{name} cannot answer this; models that can: {', '.join(available) or 'none'}.")


class ModelService:
    """Loads models, warms them up and works with them, one request at a time in the order they came."""

    def __init__(self, settings: Settings, load: Load) -> None:
        """``load(name, device)`` returns a ready model, or raises ValueError if there is none."""
        self.settings = settings
        self.models: dict[str, ReadyPlanner | ReadyWorldModel] = {}
        self.engine = Engine(settings.queue_size, lambda: torch.set_num_threads(settings.threads))
        self.plans = PlanStore()
        self._load = load
        self._warm_up: Future[None] | None = None

    @property
    def planners(self) -> list[ReadyPlanner]:
        """Models that make plans."""
        return [model for model in self.models.values() if isinstance(model, ReadyPlanner)]

    @property
    def world_models(self) -> list[ReadyWorldModel]:
        """Models that find keypoints and predict how they move."""
        return [model for model in self.models.values() if isinstance(model, ReadyWorldModel)]

    @property
    def reward_models(self) -> list[ReadyWorldModel]:
        """World models that predict rewards."""
        return [model for model in self.world_models if model.heads]

    @property
    def pushing_models(self) -> list[ReadyWorldModel]:
        """World models that know the puck and the finger that pushes it."""
        return [model for model in self.world_models if pushes(model)]

    def start(self) -> None:
        """Load all models, then warm them up in the background. Raises what loading raises."""
        self.engine.start()
        try:
            self.models = self.engine.submit(lambda job: self._load_all()).future.result()
        except Exception:
            self.engine.close()
            raise
        self._warm_up = self.engine.submit(lambda job: self._warm_all()).future
        self._warm_up.add_done_callback(_log_failure)

    def unready(self) -> str | None:
        """Why requests are not to be sent here now, in a sentence; None when ready."""
        if self.engine.draining:
            return "This server is shutting down."
        if self._warm_up is None or not self._warm_up.done():
            return "The models are being loaded and warmed up."
        if self._warm_up.exception() is not None:
            return "The warm-up failed; see the server's log."
        return None

    def drain(self) -> None:
        """Take no new work and end what is at hand after its current piece, with what there is."""
        self.engine.drain()

    def close(self) -> None:
        """Drain, answer what is at hand, end the engine."""
        self.engine.close()

    def choose(self, name: str | None, able: Sequence[M]) -> M:
        """The model of that name among those that can answer, the first one for None.

        Raises:
            UnknownModel: no such model is loaded, or none is able.
            WrongModel: it is loaded, but not able.
        """
        for model in able:
            if name is None or model.name == name:
                return model
        names = [model.name for model in able]
        if name is not None and name in self.models:
            raise WrongModel(name, names)
        raise UnknownModel(names)

    def submit(self, task: Task[T], deadline_ms: int) -> Job[T]:
        """Queue work. Raises QueueFull, ShuttingDown; the job may fail with these, DeadlinePassed or what
        the task raises.
        """
        deadline = time.monotonic() + deadline_ms / 1000
        return self.engine.submit(lambda job: self._run(task, job), deadline)

    def cancel(self, job: Job[T]) -> None:
        """Nobody waits for the job any more; does nothing to one that is finished."""
        self.engine.cancel(job)

    def _run(self, task: Task[T], job: Job[T]) -> T:
        try:
            return task.run(self.settings.device, _Pacer(job, self.engine).stop)
        except Unfinished as error:
            if error.reason == "deadline":
                raise self.engine.late("before the work was done") from None
            raise ShuttingDown from None

    def _load_all(self) -> dict[str, ReadyPlanner | ReadyWorldModel]:
        loaded = [self._load(name, self.settings.device) for name in self.settings.models]
        models = {model.name: model for model in loaded}
        if len(models) < len(loaded):
            raise ValueError(f"models must have different names, got {', '.join(self.settings.models)}")
        return models

    def _warm_all(self) -> None:
        for planner in self.planners:
            example_plan(planner).run(self.settings.device, never)
        for model in self.world_models:
            example_prediction(model).run(self.settings.device, never)
            if objectives(model):
                example_action(model).run(self.settings.device, never)


class _Pacer:
    """Ends work when it is no longer wanted, or when another piece of it would miss the deadline."""

    def __init__(self, job: Job[T], engine: Engine) -> None:
        self._job = job
        self._engine = engine
        self._last = time.monotonic()
        self._slowest = 0.0

    def stop(self) -> Interruption | None:
        """Asked between pieces of the work."""
        now = time.monotonic()
        self._slowest = max(self._slowest, now - self._last)
        self._last = now
        if self._job.cancelled or self._engine.draining:
            return "cancelled"
        return "deadline" if now + self._slowest > self._job.deadline else None


def _log_failure(warm_up: Future[None]) -> None:
    if not warm_up.cancelled() and (error := warm_up.exception()) is not None:
        logging.getLogger(__name__).error("The warm-up failed", exc_info=error)
