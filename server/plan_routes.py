"""``POST /v1/plans``."""

import asyncio
from collections.abc import Sequence

from fastapi import APIRouter
from starlette.responses import Response

from planner.build import ReadyPlanner
from server import plan_schemas as schemas
from server.codecs import PlanUpload, decode_picture, read_form, read_json, to_base64
from server.exchange import JSON, Exchange, Exchanging, model_ref
from server.plan_tasks import PlanOutcome, PlanTask, plan_task
from server.problems import UnsupportedMediaType
from server.schemas import digest

router = APIRouter()

_FORM = "multipart/form-data"


@router.post("/v1/plans", tags=["plans"], response_model=schemas.PlanResponse)
async def create_plan(exchange: Exchanging) -> Response:
    """Plan from one picture to another: subgoal pictures, when each is reached and where the puck is.

    The reply comes when the search is through or its deadline is near, whichever is first.
    """
    upload = await _read(exchange)
    deadline_ms = exchange.deadline_ms(upload.options.deadline_ms)
    model = exchange.service.choose(upload.options.model, exchange.service.planners)
    task = await asyncio.to_thread(_task, upload, model)

    def content(outcome: PlanOutcome) -> schemas.PlanContent:
        plan = _content(task, outcome)
        exchange.service.plans.keep(digest(plan), outcome.pictures)
        return plan

    return await exchange.answer(task, deadline_ms, content, schemas.PlanResponse, work="plan_ms")


async def _read(exchange: Exchange) -> PlanUpload:
    if exchange.media_type == JSON:
        return await asyncio.to_thread(read_json, await exchange.request.body())
    if exchange.media_type == _FORM:
        limit = exchange.service.settings.max_body_bytes
        async with exchange.request.form(max_files=3, max_fields=3, max_part_size=limit) as form:
            return await read_form(form)
    raise UnsupportedMediaType(JSON, _FORM)


def _task(upload: PlanUpload, model: ReadyPlanner) -> PlanTask:
    return plan_task(
        model,
        decode_picture("start", upload.start, model.image_size),
        decode_picture("goal", upload.goal, model.image_size),
        seed=upload.options.seed,
        samples=upload.options.samples,
        iterations=upload.options.iterations,
    )


def _content(task: PlanTask, outcome: PlanOutcome) -> schemas.PlanContent:
    subgoals = zip(outcome.pictures, outcome.steps, outcome.positions, outcome.whole, strict=True)
    return schemas.PlanContent(
        model=model_ref(task.model),
        seed=task.seed,
        samples=task.samples,
        iterations=task.iterations,
        iterations_run=len(outcome.history),
        stop_reason=outcome.stop_reason,
        start=schemas.Scene(object_position=to_position(outcome.start_position)),
        goal=schemas.Scene(object_position=to_position(outcome.goal_position)),
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


def to_position(point: Sequence[float] | None) -> schemas.Position | None:
    """A place in a picture as it travels."""
    return None if point is None else schemas.Position(x=point[0], y=point[1])
