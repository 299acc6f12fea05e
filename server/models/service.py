"""The models that are loaded, and the engine that works with them.

Knows neither HTTP nor any kind of model: tasks come in, outcomes go out, trouble as exceptions.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import TypeVar

import torch

from planner.loaded import Ready, ReadyModel
from server.engine.engine import Engine
from server.engine.jobs import Job, Listener, Monitor
from server.engine.task import Task
from server.environments import Worlds
from server.errors import UnknownModel, WrongModel
from server.keys import ANONYMOUS
from server.models.warm_up import SmallTasks, WarmUp
from server.settings import Settings

Load = Callable[[str, str], Ready]
M = TypeVar("M", bound=ReadyModel)
T = TypeVar("T")


class ModelService:
    """Loads models, warms them up and has the engine work with them."""

    def __init__(self, settings: Settings, load: Load, monitor: Monitor | None = None) -> None:
        """``load(name, device)`` returns a ready model, or raises ValueError if there is none."""
        self.settings = settings
        self.models: dict[str, Ready] = {}
        self.worlds = Worlds()
        self.engine = Engine(
            settings.device,
            settings.queue_size,
            lambda: torch.set_num_threads(settings.threads),
            monitor,
            finish=self.worlds.close,
        )
        self._load = load
        self._small_tasks: SmallTasks = lambda model: ()
        self.warm_up_seconds: dict[str, float] = {}
        """What the warm-up of each model took, as far as it has come."""
        self._warm_up: Job[None] | None = None

    def of(self, kind: type[M]) -> list[M]:
        """The models of a kind, in the order of the settings."""
        return [model for model in self.models.values() if isinstance(model, kind)]

    def start(self, small_tasks: SmallTasks) -> None:
        """Load all models, then warm them up in the background with the tasks that they are given.

        Raises what loading raises.
        """
        self._small_tasks = small_tasks
        self.models = self.load_all()
        self.engine.start()
        self._warm_up = self.engine.submit(self.warm_up(self.models, self.warm_up_seconds))
        self._warm_up.future.add_done_callback(self._log_failure)

    def warm_up(self, models: Mapping[str, Ready], seconds: dict[str, float], learns: bool = True) -> WarmUp:
        """The warm-up of some models; see :class:`WarmUp`."""
        return WarmUp(tuple(models.values()), self._small_tasks, self.engine.forecast, seconds, learns)

    def load_all(self) -> dict[str, Ready]:
        """The models of the settings by their names, read anew. Raises what loading raises."""
        loaded = [self._load(name, self.settings.device) for name in self.settings.models]
        models = {model.name: model for model in loaded}
        if len(models) < len(loaded):
            raise ValueError(
                f"models must have different names, got {', '.join(model.name for model in loaded)}; "
                "name them apart as in NAME=PATH"
            )
        return models

    def unready(self) -> str | None:
        """Why requests are not to be sent here now, in a sentence; None when ready."""
        if self.engine.failed:
            return "The engine has failed; this process should be started anew."
        if self.engine.draining:
            return "This server is shutting down."
        if self._warm_up is None or not self._warm_up.future.done():
            return "The models are being loaded and warmed up."
        if self._warm_up.future.exception() is not None:
            return "The warm-up failed; see the server's log."
        return None

    async def warmed_up(self) -> None:
        """Wait until the models are warm. Raises what the warm-up fails with."""
        assert self._warm_up is not None, "start comes first"
        await asyncio.wrap_future(self._warm_up.future)

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

    def submit(
        self,
        task: Task[T],
        deadline_ms: int,
        caller: str = ANONYMOUS,
        listener: Listener | None = None,
    ) -> Job[T]:
        """Have work done; ``listener`` is called with its events, in the engine's thread.

        Raises QueueFull, PredictedLate, QuotaExceeded, ShuttingDown; the job may fail with DeadlinePassed,
        ShuttingDown or what the task raises.
        """
        deadline = time.monotonic() + deadline_ms / 1000
        quota = math.inf if caller == ANONYMOUS else self.settings.key_requests
        return self.engine.submit(task, deadline, caller=caller, quota=quota, listener=listener)

    def cancel(self, job: Job[T]) -> None:
        """Nobody waits for the job any more; does nothing to one that is finished."""
        self.engine.cancel(job)

    def _log_failure(self, warm_up: Future[None]) -> None:
        # Who shuts down during the warm-up need not read that it failed.
        if (
            not self.engine.draining
            and not warm_up.cancelled()
            and (error := warm_up.exception()) is not None
        ):
            logging.getLogger(__name__).error("The warm-up failed", exc_info=error)
