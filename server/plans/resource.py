"""Plans over HTTP, as the server knows them, and the planners that make them."""

from collections.abc import Iterable
from typing import Any

from planner.loaded import ReadyPlanner
from server.http.pictures import to_base64
from server.http.resource import WORK_ERRORS, Body, Example, Resource, first_example
from server.models.adapter import Adapter, Arrays, numbers, pictures
from server.plans.openapi import describe_plans
from server.plans.routes import router
from server.plans.schemas import MAX_KEYFRAMES, MIN_SAMPLES, PLAN_PATH, PLANS_PATH, PlanRequest
from server.plans.task import PlanTask, example_plan
from server.schemas import MAX_SEED, Range


def _example(model: ReadyPlanner) -> Example:
    picture = to_base64(example_plan(model).start)
    return {"model": model.name, "start": picture, "goal": picture, "seed": 7}


def _tasks(model: ReadyPlanner) -> Iterable[PlanTask]:
    return [example_plan(model)]


def _facts(model: ReadyPlanner) -> dict[str, Any]:
    search = model.planner.config
    fewest = model.planner.fewest
    most = MAX_KEYFRAMES // fewest
    return {
        "kind": "planner",
        "keyframes": search.keyframes,
        "chooses_keyframes": model.planner.chooses,
        "goal": "embedding" if model.follows else "object",
        "follows": model.follows,
        "defaults": {"samples": search.cem.candidates, "iterations": search.cem.iterations},
        "limits": {
            "keyframes": Range(min=fewest, max=search.keyframes),
            "samples": Range(min=MIN_SAMPLES, max=most),
            "iterations": Range(min=1, max=MAX_KEYFRAMES // (MIN_SAMPLES * fewest)),
            "work": MAX_KEYFRAMES,
            "seed": Range(min=0, max=MAX_SEED),
        },
    }


def _arrays(model: ReadyPlanner) -> Arrays:
    size = model.image_size
    subgoals = pictures("subgoals", size, model.planner.config.keyframes)
    return Arrays([pictures("start", size), pictures("goal", size)], [subgoals, numbers("cost", 1)])


PLANNERS = Adapter(kind=ReadyPlanner, tasks=_tasks, facts=_facts, arrays=_arrays)
"""What the server knows of planners."""

PLANS = Resource(
    router=router,
    errors={
        (PLANS_PATH, "post"): WORK_ERRORS | {400, 409},
        (PLAN_PATH, "get"): frozenset({404, 409, 500, 503}),
        (PLAN_PATH, "delete"): frozenset({404, 500}),
    },
    bodies={PLANS_PATH: Body(PlanRequest, lambda service: first_example(service, ReadyPlanner, _example))},
    adapters=(PLANNERS,),
    describe=describe_plans,
)
