"""What every endpoint that needs the engine does: read, wait for the work, reply at once or as it goes on."""

import asyncio
import time
from collections.abc import Callable
from typing import Annotated, TypeVar

from fastapi import Depends, Request
from pydantic import BaseModel
from starlette.responses import Response, StreamingResponse

from planner.loaded import ReadyModel
from server.engine.jobs import Job
from server.engine.task import Task
from server.errors import InvalidRequest, UnsupportedEncoding, UnsupportedMediaType
from server.http.bodies import parse
from server.http.pending import Events, Pending
from server.http.problems import CLIENT_LEFT
from server.models.service import ModelService
from server.schemas import DEFAULT_DEADLINE_MS, FieldError, ModelRef, Schema, digest
from server.settings import Settings

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")
R = TypeVar("R", bound=Schema)

JSON = "application/json"
EVENT_STREAM = "text/event-stream"
_DISCONNECT_POLL_SECONDS = 0.1
_REFUSED = {"q=0", "q=0.0", "q=0.00", "q=0.000"}


class Exchange:
    """One request, from its arrival to the reply."""

    def __init__(self, request: Request) -> None:
        self.begun = time.monotonic()
        self.request = request
        self.service: ModelService = request.app.state.service
        self.caller: str = request.state.caller
        self.request_id: str = request.state.request_id

    @property
    def media_type(self) -> str:
        """Of the body, without parameters."""
        return self.request.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def wants_stream(self) -> bool:
        """Whether the reply is to come as server-sent events."""
        kinds = ",".join(self.request.headers.getlist("accept")).lower().replace(" ", "").split(",")
        return any(
            kind == EVENT_STREAM and not _REFUSED & {*rest}
            for kind, *rest in (kind.split(";") for kind in kinds)
        )

    @property
    def wants_later(self) -> bool:
        """Whether the reply is to be asked for (RFC 7240)."""
        wishes = ",".join(self.request.headers.getlist("prefer")).lower().split(",")
        return "respond-async" in {wish.partition(";")[0].strip() for wish in wishes}

    async def read(self, schema: type[M]) -> M:
        """The body. Raises QueueFull, InvalidRequest, UnsupportedMediaType, UnsupportedEncoding."""
        self.service.engine.check_room()
        self.check_media_type(JSON)
        return await asyncio.to_thread(parse, schema, await self.request.body())

    def check_media_type(self, *readable: str) -> None:
        """Raises UnsupportedMediaType, UnsupportedEncoding: the body is of another type, or packed."""
        if self.media_type not in readable:
            raise UnsupportedMediaType(*readable)
        encodings = ",".join(self.request.headers.getlist("content-encoding")).lower().split(",")
        if {encoding.strip() for encoding in encodings} - {"", "identity"}:
            raise UnsupportedEncoding

    def deadline_ms(self, asked: int | None) -> int:
        """The deadline asked for or the default one. Raises InvalidRequest."""
        settings = self.service.settings
        if asked is not None and asked > settings.max_deadline_ms:
            message = f"This server allows up to {settings.max_deadline_ms}."
            raise InvalidRequest([FieldError(field="deadline_ms", message=message)])
        return default_deadline_ms(settings) if asked is None else asked

    async def answer(
        self,
        task: Task[T],
        deadline_ms: int,
        content: Callable[[T], Schema],
        response: type[Schema],
        work: str = "work_ms",
        events: Events | None = None,
    ) -> Response:
        """Have the task done and reply with what ``content`` makes of its outcome.

        ``response`` adds ``digest``, ``request_id`` and ``timings``, in which the engine's time is ``work``.
        With ``events`` a client may ask for a stream. Raises what submitting and the task raise.
        """
        return await self.reply(self.begin(task, deadline_ms, content, response, work, events))

    def begin(
        self,
        task: Task[T],
        deadline_ms: int,
        content: Callable[[T], Schema],
        response: type[R],
        work: str = "work_ms",
        events: Events | None = None,
    ) -> Pending[R]:
        """Hand the task to the engine; see :meth:`answer`. Raises what submitting raises."""
        # Not the exchange itself: plans are kept for a while, the bodies of their requests are not.
        request_id, begun = self.request_id, self.begun

        def reply(job: Job[T]) -> R:
            encoding = time.monotonic()
            fields = content(job.future.result())
            answer = {**dict(fields), "digest": digest(fields), "request_id": request_id}
            ended = time.monotonic()
            timings = {
                "decode_ms": _ms(job.submitted - begun),
                "queue_ms": _ms(job.finished - job.submitted - job.computed),
                work: _ms(job.computed),
                "encode_ms": _ms(ended - encoding),
                "total_ms": _ms(ended - begun),
            }
            return response.model_validate(answer | {"timings": timings})

        watched = events is not None and self.wants_stream and not self.wants_later
        return Pending(self.service, task, deadline_ms, self.caller, reply, events, watched)

    async def reply(self, pending: Pending[R], name: str | None = None) -> Response:
        """What the job comes to, or a stream of what it does; ``name`` is what it can be asked for by.

        Raises what the job failed with.
        """
        if self.wants_stream and pending.has_events:
            stream = pending.stream(self.request_id, name)
            return StreamingResponse(stream, media_type=EVENT_STREAM, headers={"X-Accel-Buffering": "no"})
        with pending:
            while not await pending.wait(_DISCONNECT_POLL_SECONDS):
                if await self.request.is_disconnected():
                    return Response(status_code=CLIENT_LEFT)
        reply = pending.result()
        timings = getattr(reply, "timings").model_dump()  # noqa: B009  # every response has them
        shown = ", ".join(f"{name.removesuffix('_ms')};dur={value}" for name, value in timings.items())
        body = await asyncio.to_thread(reply.model_dump_json)
        return Response(body, media_type=JSON, headers={"Server-Timing": shown})


async def _exchange(request: Request) -> Exchange:
    return Exchange(request)


def _service(request: Request) -> ModelService:
    service: ModelService = request.app.state.service
    return service


Exchanging = Annotated[Exchange, Depends(_exchange)]
Service = Annotated[ModelService, Depends(_service)]


def default_deadline_ms(settings: Settings) -> int:
    """What is allowed to requests that do not say."""
    return min(DEFAULT_DEADLINE_MS, settings.max_deadline_ms)


def model_ref(model: ReadyModel) -> ModelRef:
    """Which model answers."""
    return ModelRef(name=model.name, version=model.version, sha256=model.sha256)


def _ms(seconds: float) -> float:
    return round(1000 * seconds, 3)
