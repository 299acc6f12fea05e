"""Plans: what the engine does for one, and what a plan comes down to in bytes and numbers."""

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from planner.loaded import ReadyPlanner
from planner.search.hierarchy import Count, Progress
from planner.search.plan import Plan, StopReason
from planner.subgoals import plan_end, plan_path
from server.engine.task import Work, drawn
from server.errors import InvalidRequest, NoObject, TooMuchWork, invalid
from server.http.pictures import Picture
from server.models.eye import check_world, usual_picture
from server.plans.schemas import MAX_KEYFRAMES
from server.schemas import FieldError
from world_models.eye import Calibration
from world_models.frames import to_bytes, to_tensor
from world_models.interface import Context
from world_models.segmenter import ColorSegmenter

Point = tuple[float, float]


@dataclass(frozen=True)
class Known:
    """What was known of a scene before any plan was made."""

    start_position: Point | None
    goal_position: Point | None
    """Where they show the object; None for planners that look for none."""
    calibration: Calibration
    """How start and goal were corrected before the model saw them ..."""
    seen: tuple[Picture, Picture]
    """... and what it saw then."""
    doubts: tuple[str, ...]
    """About whether the model knows such pictures."""


@dataclass(frozen=True)
class PlanOutcome:
    """A plan in bytes and numbers.

    ``steps`` counts environment frames from the start picture; positions are (x right, y down) in
    pixels, None where no object is seen or looked for; costs are in the goal's unit, None where no candidate
    had a finite one; ``end`` is the subgoal where the plan reaches the goal.
    """

    pictures: UInt8[np.ndarray, "L H W 3"]
    steps: tuple[float, ...]
    positions: tuple[Point | None, ...]
    whole: tuple[bool, ...]
    cost: float | None
    history: tuple[float | None, ...]
    stop_reason: StopReason
    known: Known
    end: int
    path: UInt8[np.ndarray, "K H W 3"] | None
    """Every frame from the start to that subgoal, both left out; None of planners that are not followed."""
    alternatives: tuple["PlanOutcome", ...] = ()
    """Other plans of the same search."""


@dataclass(frozen=True)
class Iteration:
    """What is known after an iteration, counted from 1.

    Costs are those of this iteration's candidates, in the goal's unit, except for ``best_cost``, the lowest
    of all so far; they are None where none was finite. ``elite_std`` is the mean spread of the candidates
    that come next. ``pictures`` and ``steps`` are the subgoals of the best candidate so far.
    """

    index: int
    best_cost: float | None
    mean_cost: float | None
    elite_std: float
    pictures: UInt8[np.ndarray, "L H W 3"]
    steps: tuple[float, ...]


@dataclass(frozen=True)
class PlanTask:
    """A plan to make."""

    model: ReadyPlanner
    start: Picture
    goal: Picture
    seed: int
    samples: int
    iterations: int
    keyframes: Count
    alternatives: int = 0
    path: bool = False
    """Whether the frames on the way are wanted."""

    kind: ClassVar[str] = "plan"

    @property
    def who(self) -> str:
        """The planner."""
        return self.model.name

    @property
    def amount(self) -> float:
        """Candidates."""
        return self.samples * self.iterations

    @property
    def least(self) -> float:
        """One iteration."""
        return 1 / self.iterations

    def work(self, device: str) -> Work[PlanOutcome]:
        """Search; stopped, it answers the best so far. Raises StrangePicture, NoObject, Interrupted."""
        look = self.model.eye.calibrate(self.start, self.goal)
        doubts = tuple(check_world(self.model.eye, {"start": self.start, "goal": self.goal}, look))
        seen = self.model.eye.see(np.stack([self.start, self.goal]), look)
        start, goal = to_tensor(seen, device).split(1)
        places: tuple[Point | None, Point | None] = (None, None)
        if not self.model.follows:
            places = self._find_object(start, goal)
        plan = yield from self.model.planner.planning(
            Context(start[:, None], torch.zeros(1, 0, 0, device=device)),
            goal,
            [torch.Generator().manual_seed(self.seed)],
            candidates=self.samples,
            iterations=self.iterations,
            keyframes=self.keyframes,
            alternatives=self.alternatives,
        )
        known = Known(places[0], places[1], look, (seen[0], seen[1]), doubts)
        chosen, *others = (
            _outcome(one, self.model, known, start, goal) for one in (plan, *plan.alternatives)
        )
        return replace(chosen, alternatives=tuple(others))

    def _find_object(
        self, start: Float[Tensor, "1 C H W"], goal: Float[Tensor, "1 C H W"]
    ) -> tuple[Point, Point]:
        """Where the pictures show what is to be moved. Raises NoObject."""
        segmenter, found = self.model.segmenter, list[Point]()
        thing = self.model.thing
        for field, picture in (("start", start), ("goal", goal)):
            blob = segmenter.blob(picture)
            if not segmenter.whole(picture)[0]:
                raise NoObject(field, thing, int(blob.mass[0]), segmenter.min_mass, segmenter.max_mass)
            x, y = blob.centre[0].tolist()
            found.append((x, y))
        return found[0], found[1]

    @torch.inference_mode()
    def show(self, progress: Progress) -> Iteration:
        """What can be seen of the search by now, with pictures of the best candidate so far."""
        step = progress.step
        finite = step.costs[0][step.costs[0].isfinite()]
        pictures, times = self.model.planner.picture(progress.state, step.best)
        return Iteration(
            index=step.iteration,
            best_cost=_finite(step.best_cost.item()),
            mean_cost=_finite(finite.mean().item()),
            elite_std=step.std.mean().item(),
            pictures=to_bytes(pictures),
            steps=tuple(times.tolist()),
        )


def plan_task(
    model: ReadyPlanner,
    start: Picture,
    goal: Picture,
    *,
    seed: int | None,
    samples: int | None,
    iterations: int | None,
    keyframes: Count | None = None,
    alternatives: int = 0,
    path: bool = False,
) -> PlanTask:
    """Fill in defaults and draw a seed where none is given. Raises InvalidRequest, TooMuchWork."""
    search = model.planner.config.cem
    samples = search.candidates if samples is None else samples
    iterations = search.iterations if iterations is None else iterations
    most = model.planner.config.keyframes
    keyframes = most if keyframes is None else keyframes
    try:
        model.planner.check_keyframes(keyframes)
    except ValueError as error:
        raise InvalidRequest([FieldError(field="keyframes", message=str(error))]) from error
    imagined = most if keyframes == "auto" else keyframes
    if samples * imagined * iterations > MAX_KEYFRAMES:
        raise TooMuchWork(
            ("samples", samples),
            ("keyframes", imagined),
            ("iterations", iterations),
            unit="keyframes",
            limit=MAX_KEYFRAMES,
        )
    if path and not model.follows:
        raise invalid("path", "Plans of this model are not followed frame by frame: leave out path.")
    return PlanTask(model, start, goal, drawn(seed), samples, iterations, keyframes, alternatives, path)


def plans_keyframes(model: ReadyPlanner, wanted: Count | None) -> bool:
    """Whether a planner makes plans of so many subgoals."""
    try:
        model.planner.check_keyframes(model.planner.config.keyframes if wanted is None else wanted)
    except ValueError:
        return False
    return True


def example_plan(model: ReadyPlanner) -> PlanTask:
    """A small problem that every planner can work on."""
    picture = usual_picture(model)
    if not model.follows:
        picture = with_square(picture, model.segmenter)
    return plan_task(model, picture, picture, seed=0, samples=None, iterations=None)


def with_square(picture: Picture, segmenter: ColorSegmenter) -> Picture:
    """The picture with a square in its middle of the object's colour and of a mass that counts as whole."""
    side = round(math.sqrt((segmenter.min_mass + segmenter.max_mass) / 2))
    low = (len(picture) - side) // 2
    picture = picture.copy()
    picture[low : low + side, low : low + side] = np.round(255 * np.array(segmenter.color))
    return picture


def _outcome(
    plan: Plan,
    model: ReadyPlanner,
    known: Known,
    start: Float[Tensor, "1 C H W"],
    goal: Float[Tensor, "1 C H W"],
) -> PlanOutcome:
    """Row 0 of a plan as bytes and numbers."""
    count = len(plan.subgoals[0])
    places: tuple[Point | None, ...] = (None,) * count
    end, path = count - 1, None
    if model.follows:
        end = plan_end(model.planner, plan, goal)
        path = to_bytes(plan_path(model.planner, plan, start, end))
    else:
        places = points(model.segmenter.blob(plan.subgoals[0]).centre)
    return PlanOutcome(
        pictures=to_bytes(plan.subgoals[0]),
        steps=tuple(plan.times[0].tolist()),
        positions=places,
        whole=tuple(plan.whole[0].tolist()),
        cost=_finite(plan.cost[0].item()),
        history=tuple(_finite(value) for value in plan.history[0].tolist()),
        stop_reason=plan.stop_reason,
        known=known,
        end=end,
        path=path,
    )


def points(centres: Float[Tensor, "B 2"]) -> tuple[Point | None, ...]:
    """Places ``[B 2]`` as pairs, None where they are NaN."""
    return tuple(None if math.isnan(x) else (x, y) for x, y in centres.tolist())


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
