"""``POST /v1/actions``."""

import asyncio
from collections.abc import Sequence

from fastapi import APIRouter
from starlette.responses import Response

from planner.loaded import Acting, ReadyWorldModel
from server.actions import schemas
from server.actions.requests import action_task
from server.actions.task import ActionOutcome, ActionTask
from server.http.exchange import Exchanging, model_ref
from server.http.pictures import to_base64
from server.models.eye import to_calibration
from server.models.service import ModelService
from server.plans.memory import plans_of
from server.plans.reply import to_position
from server.predictions.models import keypoint_models, pushing_models, rewarding, valuing

router = APIRouter(tags=["actions"])


@router.post(schemas.ACTIONS_PATH, response_model=schemas.ActionResponse)
async def choose_action(exchange: Exchanging) -> Response:
    """Choose the next action from what has been seen and done, by a search in what a world model imagines.

    The server remembers nothing of it: the next request brings the warm start back, with one frame more.
    """
    request = await exchange.read(schemas.ActionRequest)
    deadline_ms = exchange.deadline_ms(request.deadline_ms)
    service = exchange.service
    model = service.choose(request.model, _able(service, request.objective, request.task))
    task = await asyncio.to_thread(action_task, request, model, plans_of(exchange))
    return await exchange.answer(
        task, deadline_ms, lambda outcome: _content(task, outcome), schemas.ActionResponse
    )


def _able(service: ModelService, objective: schemas.Objective, task: str | None) -> Sequence[Acting]:
    if objective == "push":
        return pushing_models(service)
    if objective == "keypoints":
        return keypoint_models(service)
    return valuing(service, task) if objective == "value" else rewarding(service, task)


def _content(task: ActionTask, outcome: ActionOutcome) -> schemas.ActionAnswer:
    head = None
    if task.objective == "reward" and task.task is not None and isinstance(task.model, ReadyWorldModel):
        head = task.model.heads[task.task]
    return schemas.ActionAnswer(
        model=model_ref(task.model),
        objective=task.objective,
        task=task.task,
        reward_head=None if head is None else head.sha256,
        seed=task.seed,
        candidates=task.config.cem.candidates,
        iterations=task.config.cem.iterations,
        horizon=task.config.horizon,
        subgoal_position=to_position(outcome.subgoal_position),
        action=outcome.action.tolist(),
        warm_start=outcome.warm_start.tolist(),
        cost=outcome.cost,
        expected=[_expected(outcome, step) for step in range(len(outcome.decisions))],
        calibration=to_calibration(task.calibration),
    )


def _expected(outcome: ActionOutcome, step: int) -> schemas.ExpectedStep:
    thing, effector = (None, None) if outcome.places is None else outcome.places[step].tolist()
    return schemas.ExpectedStep(
        action=outcome.decisions[step].tolist(),
        object_position=to_position(thing),
        finger_position=to_position(effector),
        reward=None if outcome.rewards is None else float(outcome.rewards[step]),
        image=None if outcome.pictures is None else to_base64(outcome.pictures[step]),
    )
