"""Actions over HTTP, as the server knows them, and what a model can act for."""

from typing import Any

from planner.loaded import Acting, ReadyControl, ReadyWorldModel
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
from server.models.adapter import Adapter, Arrays, numbers, pictures
from server.predictions.schemas import MAX_FRAMES, MAX_STEPS
from server.schemas import MAX_SEED, Range


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


def _tasks(model: Acting) -> list[ActionTask]:
    return [example_action(model)] if objectives(model) else []


def _facts(model: Acting) -> dict[str, Any]:
    return {
        "control": [_control(model, objective) for objective in objectives(model)],
        "limits": {
            "candidates": Range(min=MIN_CANDIDATES, max=MAX_CANDIDATES),
            "iterations": Range(min=1, max=MAX_ITERATIONS),
            "horizon": Range(min=1, max=MAX_STEPS),
            "action_work": MAX_IMAGINED,
        },
    }


def _control(model: Acting, objective: Objective) -> dict[str, Any]:
    search = SEARCHES[objective]
    return {
        "objective": objective,
        "frames": model.control.config.frames if isinstance(model, ReadyControl) else MEMORIES[objective],
        "candidates": search.cem.candidates,
        "iterations": search.cem.iterations,
        "horizon": search.horizon,
    }


def _controller_facts(model: ReadyControl) -> dict[str, Any]:
    config, facts = model.control.config, _facts(model)
    limits = {"frames": Range(min=1, max=MAX_FRAMES), "seed": Range(min=0, max=MAX_SEED)}
    return facts | {
        "kind": "controller",
        "task": config.task,
        "actions": config.actions,
        "detector_sha256": config.detector,
        "limits": facts["limits"] | limits,
    }


def _controller_arrays(model: ReadyControl) -> Arrays:
    width = model.control.config.actions
    inputs = [pictures("frames", model.image_size, -1), numbers("past_actions", -1, width)]
    return Arrays(inputs, [numbers("action", width)])


CONTROLLERS = Adapter(kind=ReadyControl, tasks=_tasks, facts=_controller_facts, arrays=_controller_arrays)
"""What the server knows of control models."""

ACTIONS = Resource(
    router=router,
    errors={(ACTIONS_PATH, "post"): WORK_ERRORS},
    bodies={ACTIONS_PATH: Body(ActionRequest, lambda each: first_example(each, ReadyWorldModel, _example))},
    adapters=(Adapter(kind=ReadyWorldModel, tasks=_tasks, facts=_facts), CONTROLLERS),
)
