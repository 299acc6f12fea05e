"""The endpoints: HTTP in, HTTP out; the work is done in :mod:`server.service`."""

import asyncio
import time
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from planner.build import ReadyPlanner
from server import schemas
from server.codecs import InvalidRequest, Picture, PlanUpload, decode_picture, read_form, read_json, to_base64
from server.engine import Job
from server.problems import NotReady, UnsupportedMediaType
from server.service import MAX_WORK, PlanOutcome, PlanService, PlanTask, Point
from server.settings import Settings

router = APIRouter()

_DISCONNECT_POLL_SECONDS = 0.1
# Not a registered status, but the usual one in logs; nobody is there to read the reply.
_CLIENT_LEFT = 499


def _service(request: Request) -> PlanService:
    service: PlanService = request.app.state.service
    return service


Service = Annotated[PlanService, Depends(_service)]


@router.get("/livez", tags=["health"])
async def livez() -> schemas.Status:
    """Whether the process answers at all."""
    return schemas.Status(status="alive")


@router.get("/readyz", tags=["health"])
async def readyz(service: Service) -> schemas.Status:
    """Whether plans may be sent here: models loaded, a warm-up plan made, not shutting down."""
    if (reason := service.unready()) is not None:
        raise NotReady(reason)
    return schemas.Status(status="ready")


@router.get("/v1/models", tags=["plans"])
async def list_models(service: Service) -> schemas.ModelList:
    """The models that are loaded, what they expect and what may be asked of them."""
    return schemas.ModelList(
        models=[_model_info(model, service.settings) for model in service.models.values()]
    )


@router.post("/v1/plans", tags=["plans"], response_model=schemas.PlanResponse)
async def create_plan(request: Request, service: Service) -> Response:
    """Plan from one picture to another: subgoal pictures, when each is reached and where the puck is.

    The reply comes when the search is through or its deadline is near, whichever is first.
    """
    begun = time.monotonic()
    upload = await _read(request, service.settings)
    deadline_ms = _deadline_ms(upload, service.settings)
    model = service.model(upload.options.model)
    start, goal = await asyncio.to_thread(_decode, upload, model.image_size)
    task = service.task(
        model,
        start,
        goal,
        seed=upload.options.seed,
        samples=upload.options.samples,
        iterations=upload.options.iterations,
    )
    job = service.submit(task, deadline_ms)
    outcome = await _outcome(request, service, job)
    if outcome is None:
        return Response(status_code=_CLIENT_LEFT)
    return await asyncio.to_thread(_reply, request.state.request_id, task, job, outcome, begun)


async def _read(request: Request, settings: Settings) -> PlanUpload:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == "application/json":
        return await asyncio.to_thread(read_json, await request.body())
    if media_type == "multipart/form-data":
        limit = settings.max_body_bytes
        async with request.form(max_files=3, max_fields=3, max_part_size=limit) as form:
            return await read_form(form)
    raise UnsupportedMediaType


def _deadline_ms(upload: PlanUpload, settings: Settings) -> int:
    asked = upload.options.deadline_ms
    if asked is not None and asked > settings.max_deadline_ms:
        message = f"This server allows up to {settings.max_deadline_ms}."
        raise InvalidRequest([schemas.FieldError(field="deadline_ms", message=message)])
    return _default_deadline_ms(settings) if asked is None else asked


def _default_deadline_ms(settings: Settings) -> int:
    return min(schemas.DEFAULT_DEADLINE_MS, settings.max_deadline_ms)


def _decode(upload: PlanUpload, size: int) -> tuple[Picture, Picture]:
    return decode_picture("start", upload.start, size), decode_picture("goal", upload.goal, size)


async def _outcome(request: Request, service: PlanService, job: Job[PlanOutcome]) -> PlanOutcome | None:
    """Wait for a plan; None if the client left, and then, or if this task is cancelled, the work ends."""
    result = asyncio.wrap_future(job.future)
    try:
        while not (await asyncio.wait({result}, timeout=_DISCONNECT_POLL_SECONDS))[0]:
            if await request.is_disconnected():
                return None
        return result.result()
    finally:
        service.cancel(job)
        result.cancel()


def _reply(
    request_id: str, task: PlanTask, job: Job[PlanOutcome], outcome: PlanOutcome, begun: float
) -> Response:
    encoding = time.monotonic()
    content = _content(task, outcome)
    digest = schemas.digest(content)
    ended = time.monotonic()
    timings = schemas.Timings(
        decode_ms=_ms(job.submitted - begun),
        queue_ms=_ms(job.started - job.submitted),
        plan_ms=_ms(job.finished - job.started),
        encode_ms=_ms(ended - encoding),
        total_ms=_ms(ended - begun),
    )
    reply = schemas.PlanResponse(**dict(content), digest=digest, request_id=request_id, timings=timings)
    server_timing = ", ".join(f"{name.removesuffix('_ms')};dur={value}" for name, value in timings)
    return Response(
        reply.model_dump_json(), media_type="application/json", headers={"Server-Timing": server_timing}
    )


def _content(task: PlanTask, outcome: PlanOutcome) -> schemas.PlanContent:
    subgoals = zip(outcome.pictures, outcome.steps, outcome.positions, outcome.whole, strict=True)
    return schemas.PlanContent(
        model=schemas.ModelRef(name=task.model.name, version=task.model.version, sha256=task.model.sha256),
        seed=task.seed,
        samples=task.samples,
        iterations=task.iterations,
        iterations_run=len(outcome.history),
        stop_reason=outcome.stop_reason,
        start=schemas.Scene(object_position=_position(outcome.start_position)),
        goal=schemas.Scene(object_position=_position(outcome.goal_position)),
        subgoals=[
            schemas.Subgoal(
                index=index,
                step=step,
                object_position=_position(position),
                whole=whole,
                image=to_base64(picture),
            )
            for index, (picture, step, position, whole) in enumerate(subgoals)
        ],
        cost=outcome.cost,
        cost_history=list(outcome.history),
    )


def _position(point: Point | None) -> schemas.Position | None:
    return None if point is None else schemas.Position(x=point[0], y=point[1])


def _ms(seconds: float) -> float:
    return round(1000 * seconds, 3)


def _model_info(model: ReadyPlanner, settings: Settings) -> schemas.ModelInfo:
    search = model.planner.config
    return schemas.ModelInfo(
        name=model.name,
        version=model.version,
        sha256=model.sha256,
        image_size=model.image_size,
        keyframes=search.keyframes,
        defaults=schemas.SearchDefaults(
            samples=search.cem.candidates,
            iterations=search.cem.iterations,
            deadline_ms=_default_deadline_ms(settings),
        ),
        limits=schemas.SearchLimits(
            samples=schemas.Range(min=schemas.MIN_SAMPLES, max=schemas.MAX_SAMPLES),
            iterations=schemas.Range(min=1, max=schemas.MAX_ITERATIONS),
            work=MAX_WORK,
            deadline_ms=schemas.Range(min=1, max=settings.max_deadline_ms),
            seed=schemas.Range(min=0, max=schemas.MAX_SEED),
            body_bytes=settings.max_body_bytes,
        ),
    )
