"""The models that are loaded, and the engine that works with them.

Knows nothing of HTTP: tasks come in, outcomes go out, trouble as exceptions.
"""

import logging
import math
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from typing import TypeVar

import torch

from planner.control import moves_object
from planner.loaded import Predictor, Ready, ReadyKalman, ReadyModel, ReadyPlanner, ReadyWorldModel
from server.engine.engine import Engine
from server.engine.jobs import Job, Listener
from server.engine.monitor import Monitor
from server.engine.task import Task
from server.environments import Worlds
from server.keys import ANONYMOUS
from server.models.warm_up import WarmUp
from server.plans.store import PlanStores
from server.settings import Settings

Load = Callable[[str, str], Ready]
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
        self.plans = PlanStores()
        self._load = load
        self.warm_up_seconds: dict[str, float] = {}
        """What the warm-up of each model took, as far as it has come."""
        self._warm_up: Job[None] | None = None

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

    def rewarding(self, task: str | None) -> list[ReadyWorldModel]:
        """World models that predict the rewards of a task, or of any task if none knows this one."""
        return [model for model in self.reward_models if task in model.heads] or self.reward_models

    @property
    def tracking_models(self) -> list[ReadyKalman]:
        """Models that follow objects."""
        return [model for model in self.models.values() if isinstance(model, ReadyKalman)]

    def predicting(self, objects: int | None) -> list[Predictor]:
        """Models that predict frames; first those that can do so for a request with or without objects."""
        able = [model for model in self.models.values() if not isinstance(model, ReadyPlanner)]
        return sorted(able, key=lambda model: isinstance(model, ReadyKalman) != (objects is not None))

    @property
    def pushing_models(self) -> list[ReadyWorldModel]:
        """World models that can bring an object to where a picture shows it."""
        return [model for model in self.world_models if moves_object(model)]

    def start(self) -> None:
        """Load all models, then warm them up in the background. Raises what loading raises."""
        self.models = self.load_all()
        self.engine.start()
        warm_up = WarmUp(tuple(self.models.values()), self.engine.forecast, self.warm_up_seconds)
        self._warm_up = self.engine.submit(warm_up)
        self._warm_up.future.add_done_callback(self._log_failure)

    def load_all(self) -> dict[str, Ready]:
        """The models of the settings by their names, read anew. Raises what loading raises."""
        loaded = [self._load(name, self.settings.device) for name in self.settings.models]
        models = {model.name: model for model in loaded}
        if len(models) < len(loaded):
            raise ValueError(f"models must have different names, got {', '.join(self.settings.models)}")
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
