"""``/v1/plans``: plans at once, as a stream, or to be asked for later."""

import asyncio
import hashlib
import time
from collections.abc import Callable, Iterator
from functools import partial

from fastapi import APIRouter, Request
from starlette.responses import Response

from planner.loaded import ReadyPlanner, best_first
from planner.search.hierarchy import Progress
from server.errors import InvalidRequest
from server.http.exchange import JSON, Exchange, Exchanging
from server.http.headers import has_copy
from server.http.pending import Events
from server.http.pictures import to_base64
from server.models.eye import to_calibration
from server.plans import schemas
from server.plans.elsewhere import answer
from server.plans.memory import PlanRecord, Plans, new_name, plans_of
from server.plans.reply import path_pictures, plan_content, seen_pictures
from server.plans.requests import read_upload
from server.plans.task import PlanOutcome, PlanTask, plans_keyframes
from server.schemas import FieldError, Schema, digest

router = APIRouter(tags=["plans"])

_LONGEST_KEY = 255


@router.post(schemas.PLANS_PATH, response_model=schemas.PlanResponse)
async def create_plan(exchange: Exchanging) -> Response:
    """Plan from one picture to another: subgoal pictures, when each is reached and where the object is.

    The reply comes when the search is through or its deadline is near, whichever is first. With
    `Accept: text/event-stream` it comes as events while the search goes on; with `Prefer: respond-async` the
    plan is to be asked for at the address in `Location`. A repeated `Idempotency-Key` brings the plan of its
    first use.
    """
    key = _idempotency_key(exchange.request)
    if key is None:  # with one, there may be a plan already
        exchange.service.engine.check_room()
    upload = await read_upload(exchange)
    deadline_ms = exchange.deadline_ms(upload.options.deadline_ms)
    able = best_first(exchange.service.of(ReadyPlanner), "push")
    if upload.options.model is None:
        able.sort(key=lambda model: not plans_keyframes(model, upload.options.keyframes))
        if upload.options.path:
            able.sort(key=lambda model: not model.follows)
    model = exchange.service.choose(upload.options.model, able)
    task, body = await asyncio.to_thread(lambda: (upload.task(model), upload.digest))
    plans = plans_of(exchange)
    # Nothing is waited for from here to where the record is kept: another request with this key finds it.
    record = plans.repeated(key, body)
    if record is None:
        name = new_name()
        pending = exchange.begin(
            task, deadline_ms, _keeping(plans, task, name), schemas.PlanResponse, "plan_ms", _events(task)
        )
        record = PlanRecord(body, key, pending, exchange.request_id, name)
        plans.add(record)
        try:
            told = await plans.announce(record, deadline_ms)
        except Exception:
            pending.cancel()
            raise
        if told is not None:
            pending.cancel()
            if exchange.wants_later:
                return _later(exchange, told.status(exchange.request_id))
            return await answer(exchange, told, partial(plans.elsewhere, told.id))
    if exchange.wants_later:
        record.pending.detached = True
        return _later(exchange, record.status)
    return await exchange.reply(record.pending, record.id)


def _later(exchange: Exchange, status: schemas.PlanStatus) -> Response:
    """Where the plan is to be asked for."""
    headers = {
        "Location": exchange.service.settings.root_path + schemas.PLAN_PATH.format(plan=status.id),
        "Preference-Applied": "respond-async",
    }
    return Response(status.model_dump_json(), 202, headers, JSON)


@router.get(schemas.PLAN_PATH, response_model=schemas.PlanStatus)
async def get_plan(plan: str, exchange: Exchanging) -> Response:
    """A plan that was asked for: how it stands, and the plan itself once it is done.

    With `Accept: text/event-stream` what happens from now on comes as events.
    """
    plans = plans_of(exchange)
    record = plans.find(plan)
    if record is None:
        told = await plans.elsewhere(plan)
        if exchange.wants_stream:
            return await answer(exchange, told, partial(plans.elsewhere, plan))
        return _standing(exchange, told.status(exchange.request_id))
    if exchange.wants_stream:
        return await exchange.reply(record.pending, record.id)
    return _standing(exchange, record.status)


def _standing(exchange: Exchange, status: schemas.PlanStatus) -> Response:
    if status.status in ("queued", "running"):
        return Response(status.model_dump_json(), media_type=JSON, headers={"Retry-After": "1"})
    tag = f'"{hashlib.sha256(status.model_dump_json().encode()).hexdigest()}"'
    if has_copy(exchange.request, tag):
        return Response(status_code=304, headers={"ETag": tag})
    return Response(status.model_dump_json(), media_type=JSON, headers={"ETag": tag})


@router.delete(schemas.PLAN_PATH, status_code=204)
async def cancel_plan(plan: str, exchange: Exchanging) -> Response:
    """End the work on a plan, for all who wait for it. A finished plan stays as it is."""
    plans = plans_of(exchange)
    record = plans.find(plan)
    if record is None:
        await plans.cancel_elsewhere(plan)
    else:
        record.pending.cancel()
    return Response(status_code=204)


def _idempotency_key(request: Request) -> str | None:
    """Raises InvalidRequest if it is too long."""
    key = request.headers.get("idempotency-key")
    if key is not None and not 1 <= len(key) <= _LONGEST_KEY:
        message = f"A key has 1 to {_LONGEST_KEY} characters."
        raise InvalidRequest([FieldError(field="Idempotency-Key", message=message)])
    return key


def _keeping(plans: Plans, task: PlanTask, record: str) -> Callable[[PlanOutcome], Schema]:
    """What an outcome comes to; its pictures are kept for actions that go by the plan."""

    def content(outcome: PlanOutcome) -> Schema:
        plan, *others = (plan_content(task, one) for one in (outcome, *outcome.alternatives))
        paths = [path_pictures(one) for one in (outcome, *outcome.alternatives)]
        sent = [path if task.path else None for path in paths]
        alternatives = [
            schemas.Alternative(
                id=digest(other), subgoals=other.subgoals, cost=other.cost, ends_at=made.end, path=path
            )
            for other, made, path in zip(others, outcome.alternatives, sent[1:], strict=True)
        ]
        for other, made, path in zip(alternatives, outcome.alternatives, paths[1:], strict=True):
            plans.keep(other.id, made.pictures, made.known.calibration, _to_goal(path, made))
        whole = _to_goal(paths[0], outcome)
        plans.keep(digest(plan), outcome.pictures, outcome.known.calibration, whole, record)
        return schemas.PlanChoice(
            **dict(plan),
            calibration=to_calibration(outcome.known.calibration),
            seen=seen_pictures(outcome),
            warnings=list(outcome.known.doubts),
            ends_at=outcome.end,
            path=sent[0],
            alternatives=alternatives if task.alternatives else None,
        )

    return content


def _to_goal(path: list[str] | None, outcome: PlanOutcome) -> tuple[str, ...] | None:
    """The frames on the way and the goal picture as the model saw it."""
    return None if path is None else (*path, to_base64(outcome.known.seen[1]))


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
