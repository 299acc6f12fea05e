"""Plans: what the engine does for one, and what a plan comes down to in bytes and numbers."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from planner.build import ReadyPlanner
from planner.costs import ColorSegmenter
from planner.hierarchy import Plan, StopReason
from server.tasks import Picture, Stop, TooMuchWork, drawn
from world_models.frames import to_bytes, to_tensor
from world_models.interface import Context

MAX_WORK = 20_000
"""Most candidates of one plan, over all its iterations."""

Point = tuple[float, float]


class NoObject(ValueError):
    """A picture of where to go does not show the object that is to be moved."""

    def __init__(self, picture: str, pixels: int, needed: float) -> None:
        super().__init__(
            f"No puck was found in {picture}: {pixels} pixels have its colour, "
            f"at least {needed:g} are needed."
        )


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


@dataclass(frozen=True)
class PlanTask:
    """A plan to make."""

    model: ReadyPlanner
    start: Picture
    goal: Picture
    seed: int
    samples: int
    iterations: int

    def run(self, device: str, stop: Stop) -> PlanOutcome:
        """Search; stopped, it answers the best so far. Raises NoObject."""
        start, goal = to_tensor(np.stack([self.start, self.goal]), device).split(1)
        seen = self.model.segmenter.blob(torch.cat([start, goal]))
        start_position, goal_position = _points(seen.centre)
        if goal_position is None:
            raise NoObject("the goal picture", int(seen.mass[1]), self.model.segmenter.min_mass)
        plan = self.model.planner.plan(
            Context(start[:, None], torch.zeros(1, 0, 0, device=device)),
            goal,
            [torch.Generator().manual_seed(self.seed)],
            candidates=self.samples,
            iterations=self.iterations,
            stop=stop,
        )
        positions = _points(self.model.segmenter.blob(plan.subgoals[0]).centre)
        return _outcome(plan, positions, start_position, goal_position)


def plan_task(
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
        raise TooMuchWork(("samples", samples), ("iterations", iterations), unit="candidates", limit=MAX_WORK)
    return PlanTask(model, start, goal, drawn(seed), samples, iterations)


def example_plan(model: ReadyPlanner) -> PlanTask:
    """A small problem that every planner can work on."""
    picture = square_picture(model.image_size, model.segmenter)
    return plan_task(model, picture, picture, seed=0, samples=None, iterations=None)


def square_picture(size: int, segmenter: ColorSegmenter) -> Picture:
    """A black picture with a square of the object's colour and of a mass that counts as whole."""
    side = round(math.sqrt((segmenter.min_mass + segmenter.max_mass) / 2))
    low = (size - side) // 2
    picture = np.zeros((size, size, 3), np.uint8)
    picture[low : low + side, low : low + side] = np.round(255 * np.array(segmenter.color))
    return picture


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
