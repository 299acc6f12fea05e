"""A job as seen from the event loop: by those who wait for its reply, and those who watch it on the way."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from typing import Any, Generic, Literal, TypeVar

from server.engine.jobs import Job
from server.engine.task import Task
from server.errors import Cancelled
from server.http.problems import explain
from server.models.service import ModelService
from server.schemas import Queued, Schema

R = TypeVar("R", bound=Schema)
Status = Literal["queued", "running", "done", "failed", "cancelled"]
Events = Callable[[Any], Iterable[tuple[str, Schema]]]
"""What a task tells -> names and data of the events that travel. Called in the engine's thread."""

_PING_SECONDS = 15.0
_MOST_EVENTS = 1000
"""Events that wait for one who watches; whoever falls behind so far misses some."""


class Pending(Generic[R]):
    """A job and, once it is done, its reply.

    It is cancelled when the last of those who wait has left, unless it is ``detached`` from them.
    """

    def __init__(
        self,
        service: ModelService,
        task: Task[Any],
        deadline_ms: int,
        caller: str,
        reply: Callable[[Job[Any]], R],
        events: Events | None = None,
        watched: bool = False,
    ) -> None:
        """Hand over the task; ``reply`` is called in a thread of its own when it is done.

        ``watched``: the first stream is to have the events from the beginning. Raises what submitting does.
        """
        self.detached = False
        self.reply: R | None = None
        self.error: Exception | None = None
        self._service, self._reply, self._events = service, reply, events
        self._waiting = 0
        self._early: asyncio.Queue[bytes] | None = asyncio.Queue() if watched else None
        self._watchers = set() if self._early is None else {self._early}
        self._loop = asyncio.get_running_loop()
        self.job = service.submit(task, deadline_ms, caller, self._told)
        self._finished = asyncio.create_task(self._finish())

    @property
    def status(self) -> Status:
        """How it stands."""
        if self._finished.done():
            return "done" if self.reply else "cancelled" if isinstance(self.error, Cancelled) else "failed"
        return "queued" if self.job.state == "fresh" else "running"

    async def wait(self, seconds: float) -> bool:
        """Wait at most so long; whether it has ended."""
        done, _ = await asyncio.wait({self._finished}, timeout=seconds)
        return bool(done)

    def result(self) -> R:
        """The reply. Raises what the job failed with."""
        if self.error is not None:
            raise self.error
        assert self.reply is not None
        return self.reply

    def cancel(self) -> None:
        """End it for all who wait; does nothing to what has ended."""
        self._service.cancel(self.job)

    def __enter__(self) -> "Pending[R]":
        """Somebody waits, until the end of the block."""
        self._waiting += 1
        return self

    def __exit__(self, *_: object) -> None:
        self._waiting -= 1
        if not self._waiting and not self.detached:
            self.cancel()

    @property
    def has_events(self) -> bool:
        """Whether there is something to watch."""
        return self._events is not None

    async def stream(self, request_id: str, name: str | None = None) -> AsyncIterator[bytes]:
        """Server-sent events: ``queued``, those of the task from now on, then ``result`` or ``error``.

        ``name`` is what the job can be asked for by.
        """
        events, self._early = self._early or asyncio.Queue(), None
        self._watchers.add(events)
        try:
            with self:
                wait_ms = round(1000 * self.job.wait, 3)
                queued = Queued(request_id=request_id, id=name, predicted_wait_ms=wait_ms)
                yield _event("queued", queued.model_dump_json())
                while not (self._finished.done() and events.empty()):
                    yield await self._next(events)
                if self.error is None:
                    yield _event("result", self.result().model_dump_json())
                else:
                    yield _event("error", explain(self.error, request_id).decode("ascii"))
        finally:
            self._watchers.discard(events)

    async def _next(self, events: "asyncio.Queue[bytes]") -> bytes:
        """The next event, or a comment when there was none for a while or the job has just ended."""
        coming = asyncio.ensure_future(events.get())
        try:
            await asyncio.wait(
                {coming, self._finished}, timeout=_PING_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            return coming.result() if coming.done() else b": ping\n\n"
        finally:
            coming.cancel()

    def _told(self, told: Any) -> None:
        # Read from the engine's thread: at worst an event is made that nobody gets.
        if self._events is None or not self._watchers:
            return
        frames = [_event(name, data.model_dump_json()) for name, data in self._events(told)]
        # The loop has closed: the server is gone, but the work may still end in order.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._spread, frames)

    def _spread(self, frames: list[bytes]) -> None:
        for events in self._watchers:
            for frame in frames[: max(0, _MOST_EVENTS - events.qsize())]:
                events.put_nowait(frame)

    async def _finish(self) -> None:
        try:
            await asyncio.wrap_future(self.job.future)
            self.reply = await asyncio.to_thread(self._reply, self.job)
        except asyncio.CancelledError:
            self.error = Cancelled()
        except Exception as error:  # belongs to those who wait
            self.error = error


def _event(name: str, data: str) -> bytes:
    return f"event: {name}\ndata: {data}\n\n".encode()
