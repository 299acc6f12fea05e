"""Plans that another replica of this service makes or has made, as told to whoever asks this one."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from starlette.responses import Response, StreamingResponse

from server.errors import PlanLost
from server.http.exchange import EVENT_STREAM, JSON, Exchange
from server.http.problems import CLIENT_LEFT, MEDIA_TYPE, explain
from server.plans.schemas import PlanStatus
from server.schemas import Problem

PATIENCE_SECONDS = 1.0
_PING_SECONDS = 15.0


@dataclass(frozen=True)
class Told:
    """How a plan of another replica stands."""

    id: str
    ended: str | None
    """The JSON of its status, once it has ended."""
    lost: bool
    """The replica that made it has ended before it was done."""

    def status(self, request_id: str) -> PlanStatus:
        """What is answered to whoever asks how it stands."""
        if self.ended is not None:
            return PlanStatus.model_validate_json(self.ended)
        if not self.lost:
            return PlanStatus(id=self.id, status="running", result=None, problem=None)
        problem = Problem.model_validate_json(explain(PlanLost(), request_id))
        return PlanStatus(id=self.id, status="failed", result=None, problem=problem)


Ask = Callable[[float], Awaitable[Told]]
"""(seconds) -> how the plan stands, when it has ended or so many seconds later."""


async def answer(exchange: Exchange, told: Told, ask: Ask) -> Response:
    """What a plan elsewhere comes to, as if it were made here; or a stream of its end."""
    if exchange.wants_stream:
        headers = {"X-Accel-Buffering": "no"}
        return StreamingResponse(_stream(exchange, ask), media_type=EVENT_STREAM, headers=headers)
    status = told.status(exchange.request_id)
    while status.result is None and status.problem is None:
        if await exchange.request.is_disconnected():
            return Response(status_code=CLIENT_LEFT)
        status = (await ask(PATIENCE_SECONDS)).status(exchange.request_id)
    if status.problem is not None:
        return Response(
            status.problem.model_dump_json(exclude_none=True), status.problem.status, media_type=MEDIA_TYPE
        )
    assert status.result is not None
    return Response(status.result.model_dump_json(), media_type=JSON)


async def _stream(exchange: Exchange, ask: Ask) -> AsyncIterator[bytes]:
    """Its ``result`` or ``error``, and a comment now and then until there is one."""
    while True:
        status = (await ask(_PING_SECONDS)).status(exchange.request_id)
        for name, found in (("result", status.result), ("error", status.problem)):
            if found is not None:
                yield f"event: {name}\ndata: {found.model_dump_json()}\n\n".encode()
                return
        yield b": ping\n\n"
