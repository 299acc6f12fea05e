"""Actions over HTTP, as the server knows them, and what a world model can act for."""

from typing import Any

from planner.loaded import ReadyWorldModel
from server.actions.routes import router
from server.actions.schemas import (
    ACTIONS_PATH,
    MAX_CANDIDATES,
    MAX_IMAGINED,
    MAX_ITERATIONS,
    MIN_CANDIDATES,
    ActionRequest,
    Objective,
)
from server.actions.task import MEMORIES, SEARCHES, ActionTask, example_action, objectives
from server.http.pictures import to_base64
from server.http.resource import WORK_ERRORS, Body, Example, Resource, first_example
from server.models.adapter import Adapter
from server.predictions.schemas import MAX_STEPS
from server.schemas import Range


def _example(model: ReadyWorldModel) -> Example | None:
    if not objectives(model):
        return None
    task = example_action(model)
    example = {"model": model.name, "objective": task.objective, "seed": 7}
    context = {
        "frames": [to_base64(frame) for frame in task.seen.frames],
        "past_actions": task.seen.actions.tolist(),
    }
    subgoal = {} if task.subgoal is None else {"subgoal": to_base64(task.subgoal)}
    return example | context | subgoal | ({} if task.task is None else {"task": task.task})


def _tasks(model: ReadyWorldModel) -> list[ActionTask]:
    return [example_action(model)] if objectives(model) else []


def _facts(model: ReadyWorldModel) -> dict[str, Any]:
    return {
        "control": [_control(objective) for objective in objectives(model)],
        "limits": {
            "candidates": Range(min=MIN_CANDIDATES, max=MAX_CANDIDATES),
            "iterations": Range(min=1, max=MAX_ITERATIONS),
            "horizon": Range(min=1, max=MAX_STEPS),
            "action_work": MAX_IMAGINED,
        },
    }


def _control(objective: Objective) -> dict[str, Any]:
    search = SEARCHES[objective]
    return {
        "objective": objective,
        "frames": MEMORIES[objective],
        "candidates": search.cem.candidates,
        "iterations": search.cem.iterations,
        "horizon": search.horizon,
    }


ACTIONS = Resource(
    router=router,
    errors={(ACTIONS_PATH, "post"): WORK_ERRORS},
    bodies={ACTIONS_PATH: Body(ActionRequest, lambda each: first_example(each, ReadyWorldModel, _example))},
    adapters=(Adapter(kind=ReadyWorldModel, tasks=_tasks, facts=_facts),),
)
