"""``/v1/plans``: plans at once, as a stream, or to be asked for later."""

import asyncio
import hashlib
import time
from collections.abc import Callable, Iterator, Sequence

from fastapi import APIRouter, Request
from starlette.responses import Response

from planner.loaded import ReadyPlanner
from planner.search.hierarchy import Progress
from server.http.bodies import InvalidRequest, PlanUpload, decode_picture, read_form, read_json, to_base64
from server.http.exchange import JSON, Exchange, Exchanging, model_ref
from server.http.pending import Events
from server.http.problems import UnsupportedMediaType, explain
from server.plans import schemas
from server.plans.memory import PlanRecord, PlanRecords
from server.plans.store import PlanStore
from server.plans.task import PlanOutcome, PlanTask, plan_task
from server.schemas import FieldError, Problem, Schema, digest

router = APIRouter(tags=["plans"])

_FORM = "multipart/form-data"
_LONGEST_KEY = 255


@router.post("/v1/plans", response_model=schemas.PlanResponse)
async def create_plan(exchange: Exchanging) -> Response:
    """Plan from one picture to another: subgoal pictures, when each is reached and where the puck is.

    The reply comes when the search is through or its deadline is near, whichever is first. With
    `Accept: text/event-stream` it comes as events while the search goes on; with `Prefer: respond-async` the
    plan is to be asked for at the address in `Location`. A repeated `Idempotency-Key` brings the plan of its
    first use.
    """
    key = _idempotency_key(exchange.request)
    if key is None:  # with one, there may be a plan already
        exchange.service.engine.check_room()
    upload = await _read(exchange)
    deadline_ms = exchange.deadline_ms(upload.options.deadline_ms)
    model = exchange.service.choose(upload.options.model, exchange.service.planners)
    task, body = await asyncio.to_thread(_read_over, upload, model)
    records = _records(exchange.request)
    # Nothing is waited for from here to where the record is kept: another request with this key finds it.
    record = records.repeated(exchange.caller, key, body)
    if record is None:
        running = exchange.begin(
            task, deadline_ms, _keeping(exchange.plans, task), schemas.PlanResponse, "plan_ms", _events(task)
        )
        record = PlanRecord(body, key, running, exchange.request_id)
        records.add(exchange.caller, record)
    if exchange.wants_later:
        record.running.detached = True
        headers = {"Location": f"/v1/plans/{record.id}", "Preference-Applied": "respond-async"}
        return Response(_status(record).model_dump_json(), 202, headers, JSON)
    return await exchange.reply(record.running, record.id)


@router.get("/v1/plans/{plan}", response_model=schemas.PlanStatus)
async def get_plan(plan: str, exchange: Exchanging) -> Response:
    """A plan that was asked for: how it stands, and the plan itself once it is done.

    With `Accept: text/event-stream` what happens from now on comes as events.
    """
    record = _records(exchange.request).find(exchange.caller, plan)
    if exchange.wants_stream:
        return await exchange.reply(record.running, record.id)
    status = _status(record)
    if status.status in ("queued", "running"):
        return Response(status.model_dump_json(), media_type=JSON, headers={"Retry-After": "1"})
    tag = f'"{hashlib.sha256(status.model_dump_json().encode()).hexdigest()}"'
    if exchange.request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers={"ETag": tag})
    return Response(status.model_dump_json(), media_type=JSON, headers={"ETag": tag})


@router.delete("/v1/plans/{plan}", status_code=204)
async def cancel_plan(plan: str, exchange: Exchanging) -> Response:
    """End the work on a plan, for all who wait for it. A finished plan stays as it is."""
    _records(exchange.request).find(exchange.caller, plan).running.cancel()
    return Response(status_code=204)


def _records(request: Request) -> PlanRecords:
    records: PlanRecords = request.app.state.plans
    return records


def _idempotency_key(request: Request) -> str | None:
    """Raises InvalidRequest if it is too long."""
    key = request.headers.get("idempotency-key")
    if key is not None and not 1 <= len(key) <= _LONGEST_KEY:
        message = f"A key has 1 to {_LONGEST_KEY} characters."
        raise InvalidRequest([FieldError(field="Idempotency-Key", message=message)])
    return key


def _read_over(upload: PlanUpload, model: ReadyPlanner) -> tuple[PlanTask, str]:
    """What is to be done, and the digest of the request."""
    return _task(upload, model), _body_digest(upload)


def _body_digest(upload: PlanUpload) -> str:
    """Equal for equal requests, however they travelled."""
    options = upload.options.model_dump_json(exclude={"start", "goal"})
    parts = (options.encode(), upload.start, upload.goal)
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


def _status(record: PlanRecord) -> schemas.PlanStatus:
    running, problem = record.running, None
    if running.error is not None:
        problem = Problem.model_validate_json(explain(running.error, record.request_id))
    return schemas.PlanStatus(id=record.id, status=running.status, result=running.reply, problem=problem)


def _keeping(plans: PlanStore, task: PlanTask) -> Callable[[PlanOutcome], Schema]:
    """What an outcome comes to; its pictures are kept for actions that go by the plan."""

    def content(outcome: PlanOutcome) -> Schema:
        plan = plan_content(task, outcome)
        plans.keep(digest(plan), outcome.pictures)
        return plan

    return content


def _events(task: PlanTask) -> Events:
    begun = time.monotonic()

    def events(progress: Progress) -> Iterator[tuple[str, Schema]]:
        shown = task.show(progress)
        yield (
            "iteration",
            schemas.IterationEvent(
                iteration=shown.index,
                iterations=task.iterations,
                best_cost=shown.best_cost,
                mean_cost=shown.mean_cost,
                elite_std=shown.elite_std,
                elapsed_ms=round(1000 * (time.monotonic() - begun), 3),
            ),
        )
        for index, (picture, step) in enumerate(zip(shown.pictures, shown.steps, strict=True)):
            image = to_base64(picture)
            yield (
                "subgoal",
                schemas.SubgoalEvent(iteration=shown.index, index=index, step=step, image=image),
            )

    return events


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
