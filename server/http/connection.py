"""HTTP on the socket: uvicorn's protocol, with an end to requests that never end.

uvicorn waits for the rest of a request as long as the connection lives and takes heads of any size. Here a
request has so many seconds to arrive whole. What is done about it, and the reply, may take their time, as
long as the client reads.
"""

import asyncio
import sys
import uuid
from typing import Any, Literal

import httptools
import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from server.http.half_close import ListeningClient
from server.http.headers import API
from server.http.problems import HTTP_KINDS, MEDIA_TYPE, content
from server.settings import Settings

MAX_HEAD_BYTES = 32 * 1024
"""Of a request's first line and header fields."""
MAX_FIELDS = 100
"""Header fields of a request."""
STALLED_SECONDS = 30.0
"""A client that reads nothing of a waiting reply for so long has its connection closed."""

_SENTENCES = {
    400: "The bytes are no HTTP/1.1 request with one Host field.",
    408: "The request was not complete in time and the connection is closed.",
    431: f"A request may have up to {MAX_FIELDS} header fields and {MAX_HEAD_BYTES} bytes before the body.",
}


_CUT_OFF = "The request ended before it was whole."


class _Unreadable(Exception):
    """Raised in a callback of the parser, which then gives up."""


class Connection(HttpToolsProtocol):
    """One connection; subclasses say which settings hold."""

    settings: Settings

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._part: Literal["none", "head", "body"] = "none"
        self._deadline: asyncio.TimerHandle | None = None
        self._unread = False
        self._stall: asyncio.TimerHandle | None = None
        self._arrived = 0
        self._head_bytes = 0
        self._fault = 400
        self._running: RequestResponseCycle | None = None
        self._half_closed = False

    def connection_made(self, transport: Any) -> None:  # uvloop's are no asyncio.Transport
        """Give the first request its time."""
        super().connection_made(transport)
        if len(self.connections) > self.settings.max_connections:
            transport.close()
        else:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadlines; tell the request that is being answered, which may not be the last."""
        self._stop_waiting()
        self._unstall()
        super().connection_lost(exc)
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn's says nothing, which ends it
        """The client's last word: replies that are owed are sent all the same, as long as it listens.

        Whether the connection stays open.
        """
        self._stop_waiting()
        if self.transport.is_closing():
            return False
        if self._part == "body" and self.pipeline and self._running is not None:
            self.pipeline.popleft()  # The half request, which has not begun; others have come before it.
            self.cycle, self._part = self.pipeline[0][0] if self.pipeline else self._running, "none"
        if self._part == "body" or (self._part == "head" and not self._owes_reply()):
            self._refuse(400, _CUT_OFF)
        if self.transport.is_closing() or not self._owes_reply():
            return False
        self.cycle.keep_alive = False
        if not self._half_closed and self._running is not None:
            self._half_closed = True
            self._watch(self._running)
        return True

    def pause_writing(self) -> None:
        """More of a reply waits than the client has read."""
        super().pause_writing()
        self._stall = self.loop.call_later(STALLED_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """The client reads on."""
        super().resume_writing()
        self._unstall()

    def data_received(self, data: bytes) -> None:
        """Parse, and watch how much there is."""
        self._wait()
        self._arrived += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._part != "body" and self._arrived > MAX_HEAD_BYTES:
            self._refuse(431)
        # Chunk sizes and trailers are bytes too, and are not in the body that the application counts.
        elif self._arrived > 2 * self.settings.max_body_bytes + MAX_HEAD_BYTES:
            self.transport.close()

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        self._unset_keepalive_if_required()
        self._part, self._head_bytes = "head", 0
        self._wait()

    def on_url(self, url: bytes) -> None:
        """A piece of the path and query."""
        super().on_url(url)
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """A whole header field."""
        if self._part == "body":
            return  # A trailer: the application has its headers already.
        super().on_header(name, value)
        self._count(len(name) + len(value) + len(": \r\n"))

    def on_headers_complete(self) -> None:
        """The end of the head."""
        hosts = sum(name == b"host" for name, _ in self.headers)
        version = self.parser.get_http_version()
        if version not in {"1.0", "1.1"} or hosts > 1 or (version == "1.1" and not hosts):
            raise _Unreadable
        if self.url[:7].lower() == b"http://":
            self._take_target_apart()
        if version == "1.0":
            self.expect_100_continue = False  # Such a client knows no reply before the reply.
        super().on_headers_complete()
        self._part = "body"

    def on_message_complete(self) -> None:
        """The end of the request."""
        super().on_message_complete()
        self._part, self._arrived = "none", 0
        self._stop_waiting()
        if self.cycle.response_complete and self.timeout_keep_alive_task is None:
            # It was answered before its body had come: uvicorn's idle time began then, and the body ended it.
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def send_400_response(self, msg: str) -> None:
        """What uvicorn calls when the parser gives up."""
        self._refuse(self._fault)

    def _take_target_apart(self) -> None:
        """Of a target with a host, as proxies are sent it, the host counts, and not the header field."""
        target: Any = httptools.parse_url(self.url)  # its fields may be None, whatever its types say
        port = b"" if target.port is None else b":%d" % target.port
        self.headers[:] = [(name, value) for name, value in self.headers if name != b"host"]
        self.headers.append((b"host", target.host + port))
        self.url = (target.path or b"/") + (b"" if target.query is None else b"?" + target.query)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        if self._half_closed:
            self._watch(cycle)
        chunks = cycle.scope["http_version"] != "1.0"
        super()._start_asgi_task(cycle, app if chunks else _without_chunks(app, cycle))

    def _watch(self, cycle: RequestResponseCycle) -> None:
        listening: Any = ListeningClient(self.transport, cycle, self.loop)
        cycle.transport = listening

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > MAX_HEAD_BYTES or len(self.headers) > MAX_FIELDS:
            self._fault = 431
            raise _Unreadable

    def _wait(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.settings.receive_seconds, self._expire)

    def _stop_waiting(self) -> None:
        self._unread = False
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _unstall(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def _expire(self) -> None:
        self._deadline = None
        if self.transport.is_closing():
            return
        if self.flow.read_paused or self._unread:
            # The rest may be here already: it is this side that does not read, or has only begun to again.
            self._unread = self.flow.read_paused
            self._wait()
        elif self._part != "body" and self._owes_reply():
            self.cycle.keep_alive = False  # What came after a request must not cost that request its reply.
        elif self._part == "none":
            self.transport.close()
        else:
            self._refuse(408)

    def _owes_reply(self) -> bool:
        last: RequestResponseCycle | None = self.cycle
        return last is not None and not last.response_complete

    def _refuse(self, status: int, sentence: str | None = None) -> None:
        """Reply if nothing else is being replied on this connection, and close it."""
        if self._part == "body":
            silent = bool(self.pipeline) or self.cycle.response_started
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        else:
            silent = self._owes_reply()
        if not silent:
            self.transport.write(_reply(status, sentence or _SENTENCES[status]))
        self.transport.close()


def _without_chunks(app: ASGIApp, cycle: RequestResponseCycle) -> Any:  # uvicorn has types of its own
    """The application for a client of HTTP/1.0: a body of unknown length ends with the connection."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        endless = False

        async def send_plainly(message: Message) -> None:
            nonlocal endless
            if message["type"] == "http.response.start":
                known = any(name.lower() == b"content-length" for name, _ in message.get("headers", []))
                endless = not known and scope["method"] != "HEAD" and message["status"] not in (204, 304)
                if endless:
                    cycle.chunked_encoding = False
                await send(message)
                if endless:
                    cycle.expected_content_length = sys.maxsize
                return
            if endless and not message.get("more_body", False):
                cycle.expected_content_length = len(message.get("body", b""))
            await send(message)

        await app(scope, receive, send_plainly)

    return answer


def _reply(status: int, sentence: str) -> bytes:
    request_id = uuid.uuid4().hex
    body = content(HTTP_KINDS[status], sentence, request_id)
    headers = {
        **API,
        "Content-Type": MEDIA_TYPE,
        "Content-Length": str(len(body)),
        "X-Request-Id": request_id,
        "Connection": "close",
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return STATUS_LINE[status] + lines.encode("ascii") + b"\r\n" + body


def configure(app: FastAPI, settings: Settings, **options: Any) -> uvicorn.Config:
    """How uvicorn is to serve the application; ``options`` are further ones of its own."""

    class _Connection(Connection):
        pass

    _Connection.settings = settings
    chosen: dict[str, Any] = {"host": settings.host, "port": settings.port} | options
    return uvicorn.Config(
        app, http=_Connection, ws="none", server_header=False, timeout_graceful_shutdown=10, **chosen
    )
