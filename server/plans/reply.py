"""A plan as it travels."""

from collections.abc import Sequence

from server.http.exchange import model_ref
from server.http.pictures import to_base64
from server.plans import schemas
from server.plans.task import PlanOutcome, PlanTask
from world_models.eye import STANDARD


def plan_content(task: PlanTask, outcome: PlanOutcome) -> schemas.PlanContent:
    """A plan as it travels."""
    subgoals = zip(outcome.pictures, outcome.steps, outcome.positions, outcome.whole, strict=True)
    return schemas.PlanContent(
        model=model_ref(task.model),
        seed=task.seed,
        samples=task.samples,
        iterations=task.iterations,
        iterations_run=len(outcome.history),
        stop_reason=outcome.stop_reason,
        start=schemas.Scene(object_position=to_position(outcome.known.start_position)),
        goal=schemas.Scene(object_position=to_position(outcome.known.goal_position)),
        subgoals=[
            schemas.Subgoal(
                index=index,
                step=step,
                object_position=to_position(position),
                whole=whole,
                image=to_base64(picture),
            )
            for index, (picture, step, position, whole) in enumerate(subgoals)
        ],
        cost=outcome.cost,
        cost_history=list(outcome.history),
    )


def seen_pictures(outcome: PlanOutcome) -> schemas.SeenPictures | None:
    """What the model saw, unless that is what was sent."""
    if outcome.known.calibration == STANDARD:
        return None
    start, goal = map(to_base64, outcome.known.seen)
    return schemas.SeenPictures(start=start, goal=goal)


def path_pictures(outcome: PlanOutcome) -> list[str] | None:
    """The frames on the way, as they travel; None of planners that are not followed."""
    return None if outcome.path is None else [to_base64(frame) for frame in outcome.path]


def to_position(point: Sequence[float] | None) -> schemas.Position | None:
    """A place in a picture as it travels."""
    return None if point is None else schemas.Position(x=point[0], y=point[1])
