"""Plans from pictures: loaded planners, the engine they run on, and what a plan comes down to.

Knows nothing of HTTP: bytes come in and go out as ``uint8`` arrays, trouble as exceptions.
"""

import logging
import math
import secrets
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from planner.build import ReadyPlanner
from planner.hierarchy import Interruption, Plan, StopReason, never
from server.engine import Engine, Job
from server.settings import Settings
from world_models.frames import to_bytes, to_tensor
from world_models.interface import Context

MAX_WORK = 20_000
"""Most candidates of one plan, over all its iterations."""

# Seeds that are drawn fit in a double, so that JavaScript clients can send them back unchanged.
_DRAWN_SEEDS = 2**53

Picture = UInt8[np.ndarray, "H W 3"]
Load = Callable[[str, str], ReadyPlanner]
Point = tuple[float, float]


class UnknownModel(LookupError):
    """No planner of that name is loaded."""

    def __init__(self, available: Iterable[str]) -> None:
        super().__init__(f"There is no such model here; available: {', '.join(available)}.")


class TooMuchWork(ValueError):
    """The request asks for more candidates than one plan may take."""

    def __init__(self, samples: int, iterations: int) -> None:
        super().__init__(
            f"{samples} samples x {iterations} iterations = {samples * iterations} candidates; "
            f"one plan may take {MAX_WORK}. Lower samples or iterations."
        )


class NoObject(ValueError):
    """The goal picture does not show the object that is to be moved."""

    def __init__(self, pixels: int, needed: float) -> None:
        super().__init__(
            f"No puck was found in the goal picture: {pixels} pixels have its colour, "
            f"at least {needed:g} are needed."
        )


@dataclass(frozen=True)
class PlanTask:
    """A plan to make: everything decided, nothing left to a default."""

    model: ReadyPlanner
    start: Picture
    goal: Picture
    seed: int
    samples: int
    iterations: int


@dataclass(frozen=True)
class PlanOutcome:
    """A plan in bytes and numbers.

    ``steps`` counts environment frames from the start picture; positions are (x right, y down) in
    pixels, None where no puck is seen; costs are in pixels, None where no candidate had a finite one.
    """

    pictures: UInt8[np.ndarray, "L H W 3"]
    steps: tuple[float, ...]
    positions: tuple[Point | None, ...]
    whole: tuple[bool, ...]
    start_position: Point | None
    goal_position: Point | None
    cost: float | None
    history: tuple[float | None, ...]
    stop_reason: StopReason


class PlanService:
    """Loads planners, warms them up and makes plans, one at a time in the order they came."""

    def __init__(self, settings: Settings, load: Load) -> None:
        """``load(name, device)`` returns a ready planner, or raises ValueError if there is none."""
        self.settings = settings
        self.models: dict[str, ReadyPlanner] = {}
        self.engine = Engine(settings.queue_size, lambda: torch.set_num_threads(settings.threads))
        self._load = load
        self._warm_up: Future[None] | None = None

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
        """Why plans are not to be sent here now, in a sentence; None when ready."""
        if self.engine.draining:
            return "This server is shutting down."
        if self._warm_up is None or not self._warm_up.done():
            return "The models are being loaded and warmed up."
        if self._warm_up.exception() is not None:
            return "The warm-up plan failed; see the server's log."
        return None

    def drain(self) -> None:
        """Take no new plans and end those at hand after their current iteration, with what they have."""
        self.engine.drain()

    def close(self) -> None:
        """Drain, answer what is at hand, end the engine."""
        self.engine.close()

    def model(self, name: str | None) -> ReadyPlanner:
        """The planner of that name, the first one for None. Raises UnknownModel."""
        key = next(iter(self.models)) if name is None else name
        if key not in self.models:
            raise UnknownModel(self.models)
        return self.models[key]

    def task(
        self,
        model: ReadyPlanner,
        start: Picture,
        goal: Picture,
        *,
        seed: int | None,
        samples: int | None,
        iterations: int | None,
    ) -> PlanTask:
        """Fill in the model's defaults and draw a seed where none is given. Raises TooMuchWork."""
        search = model.planner.config.cem
        samples = search.candidates if samples is None else samples
        iterations = search.iterations if iterations is None else iterations
        if samples * iterations > MAX_WORK:
            raise TooMuchWork(samples, iterations)
        seed = secrets.randbelow(_DRAWN_SEEDS) if seed is None else seed
        return PlanTask(model, start, goal, seed, samples, iterations)

    def submit(self, task: PlanTask, deadline_ms: int) -> Job[PlanOutcome]:
        """Queue a plan. Raises QueueFull, ShuttingDown; the job may fail with DeadlinePassed, NoObject."""
        deadline = time.monotonic() + deadline_ms / 1000
        return self.engine.submit(lambda job: self._plan(task, _Pacer(job, self.engine).stop), deadline)

    def cancel(self, job: Job[PlanOutcome]) -> None:
        """Nobody waits for the plan any more; does nothing to one that is finished."""
        self.engine.cancel(job)

    def _load_all(self) -> dict[str, ReadyPlanner]:
        loaded = [self._load(name, self.settings.device) for name in self.settings.models]
        models = {model.name: model for model in loaded}
        if len(models) < len(loaded):
            raise ValueError(f"models must have different names, got {', '.join(self.settings.models)}")
        return models

    def _warm_all(self) -> None:
        for model in self.models.values():
            picture = example_picture(model)
            task = self.task(model, picture, picture, seed=0, samples=None, iterations=None)
            self._plan(task, never)

    def _plan(self, task: PlanTask, stop: Callable[[], Interruption | None]) -> PlanOutcome:
        device = self.settings.device
        start, goal = to_tensor(np.stack([task.start, task.goal]), device).split(1)
        seen = task.model.segmenter.blob(torch.cat([start, goal]))
        start_position, goal_position = _points(seen.centre)
        if goal_position is None:
            raise NoObject(int(seen.mass[1]), task.model.segmenter.min_mass)
        plan = task.model.planner.plan(
            Context(start[:, None], torch.zeros(1, 0, 0, device=device)),
            goal,
            [torch.Generator().manual_seed(task.seed)],
            candidates=task.samples,
            iterations=task.iterations,
            stop=stop,
        )
        positions = _points(task.model.segmenter.blob(plan.subgoals[0]).centre)
        return _outcome(plan, positions, start_position, goal_position)


def example_picture(model: ReadyPlanner) -> Picture:
    """A black picture with a square of the object's colour and of a mass that counts as whole."""
    size, segmenter = model.image_size, model.segmenter
    side = round(math.sqrt((segmenter.min_mass + segmenter.max_mass) / 2))
    low = (size - side) // 2
    picture = np.zeros((size, size, 3), np.uint8)
    picture[low : low + side, low : low + side] = np.round(255 * np.array(segmenter.color))
    return picture


class _Pacer:
    """Ends a search when it is no longer wanted, or when another iteration would miss the deadline."""

    def __init__(self, job: Job[PlanOutcome], engine: Engine) -> None:
        self._job = job
        self._engine = engine
        self._last = time.monotonic()
        self._slowest = 0.0

    def stop(self) -> Interruption | None:
        """Asked by the planner between iterations."""
        now = time.monotonic()
        self._slowest = max(self._slowest, now - self._last)
        self._last = now
        if self._job.cancelled or self._engine.draining:
            return "cancelled"
        return "deadline" if now + self._slowest > self._job.deadline else None


def _log_failure(warm_up: Future[None]) -> None:
    if not warm_up.cancelled() and (error := warm_up.exception()) is not None:
        logging.getLogger(__name__).error("The warm-up plan failed", exc_info=error)


def _outcome(
    plan: Plan, positions: tuple[Point | None, ...], start: Point | None, goal: Point
) -> PlanOutcome:
    """Row 0 of a plan as bytes and numbers."""
    return PlanOutcome(
        pictures=to_bytes(plan.subgoals[0]),
        steps=tuple(plan.times[0].tolist()),
        positions=positions,
        whole=tuple(plan.whole[0].tolist()),
        start_position=start,
        goal_position=goal,
        cost=_finite(plan.cost[0].item()),
        history=tuple(_finite(value) for value in plan.history[0].tolist()),
        stop_reason=plan.stop_reason,
    )


def _points(centres: Float[Tensor, "B 2"]) -> tuple[Point | None, ...]:
    return tuple(None if math.isnan(x) else (x, y) for x, y in centres.tolist())


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
