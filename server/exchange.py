"""What every endpoint that needs the engine does: read, wait for the work, reply."""

import asyncio
import time
from collections.abc import Callable
from typing import Annotated, TypeVar

from fastapi import Depends, Request
from pydantic import BaseModel
from starlette.responses import Response

from planner.build import ReadyModel
from server.codecs import InvalidRequest, parse
from server.engine import Job
from server.problems import UnsupportedMediaType
from server.schemas import DEFAULT_DEADLINE_MS, FieldError, ModelRef, Schema, digest
from server.service import ModelService
from server.settings import Settings
from server.tasks import Task

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")

JSON = "application/json"
_DISCONNECT_POLL_SECONDS = 0.1
# Not a registered status, but the usual one in logs; nobody is there to read the reply.
_CLIENT_LEFT = 499


class Exchange:
    """One request, from its arrival to the reply."""

    def __init__(self, request: Request) -> None:
        self.begun = time.monotonic()
        self.request = request
        self.service: ModelService = request.app.state.service

    @property
    def media_type(self) -> str:
        """Of the body, without parameters."""
        return self.request.headers.get("content-type", "").partition(";")[0].strip().lower()

    async def read(self, schema: type[M]) -> M:
        """The body. Raises InvalidRequest, UnsupportedMediaType."""
        if self.media_type != JSON:
            raise UnsupportedMediaType(JSON)
        return await asyncio.to_thread(parse, schema, await self.request.body())

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
    ) -> Response:
        """Have the task done and reply with what ``content`` makes of its outcome.

        ``response`` adds ``digest``, ``request_id`` and ``timings``, in which the engine's time is ``work``.
        Raises what submitting and the task raise.
        """
        job = self.service.submit(task, deadline_ms)
        if not await self._done(job):
            return Response(status_code=_CLIENT_LEFT)
        return await asyncio.to_thread(self._reply, job, content, response, work)

    async def _done(self, job: Job[T]) -> bool:
        """Wait for a job; False if the client left, and then, or if this task is cancelled, the work ends."""
        result = asyncio.wrap_future(job.future)
        try:
            while not (await asyncio.wait({result}, timeout=_DISCONNECT_POLL_SECONDS))[0]:
                if await self.request.is_disconnected():
                    return False
            result.result()
            return True
        finally:
            self.service.cancel(job)
            result.cancel()

    def _reply(
        self, job: Job[T], content: Callable[[T], Schema], response: type[Schema], work: str
    ) -> Response:
        encoding = time.monotonic()
        fields = content(job.future.result())
        answer = {**dict(fields), "digest": digest(fields), "request_id": self.request.state.request_id}
        ended = time.monotonic()
        timings = {
            "decode_ms": _ms(job.submitted - self.begun),
            "queue_ms": _ms(job.started - job.submitted),
            work: _ms(job.finished - job.started),
            "encode_ms": _ms(ended - encoding),
            "total_ms": _ms(ended - self.begun),
        }
        reply = response.model_validate(answer | {"timings": timings})
        shown = ", ".join(f"{name.removesuffix('_ms')};dur={value}" for name, value in timings.items())
        return Response(reply.model_dump_json(), media_type=JSON, headers={"Server-Timing": shown})


async def _exchange(request: Request) -> Exchange:
    return Exchange(request)


Exchanging = Annotated[Exchange, Depends(_exchange)]


def default_deadline_ms(settings: Settings) -> int:
    """What is allowed to requests that do not say."""
    return min(DEFAULT_DEADLINE_MS, settings.max_deadline_ms)


def model_ref(model: ReadyModel) -> ModelRef:
    """Which model answers."""
    return ModelRef(name=model.name, version=model.version, sha256=model.sha256)


def _ms(seconds: float) -> float:
    return round(1000 * seconds, 3)
