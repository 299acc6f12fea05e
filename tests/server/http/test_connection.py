"""How long a connection may keep the server waiting, and how much it may say."""

import asyncio
import logging
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI, Request
from stand_ins import LoopClock
from starlette.responses import StreamingResponse

from server.http import problems
from server.http.connection import MAX_FIELDS, MAX_HEAD_BYTES, STALLED_SECONDS
from server.http.middleware import BodyLimit, RequestId
from server.settings import Settings

HEAD = b"GET /fields HTTP/1.1\r\nHost: x\r\n"
SECONDS = 60.0
"""That a request has to arrive in these tests: seconds of a clock that the tests turn on."""


async def fields(request: Request) -> list[str]:
    return sorted({name for name, _ in request.headers.items()})


async def size(request: Request) -> int:
    return len(await request.body())


async def slow() -> str:
    STARTED.set()
    await asyncio.sleep(3.5 * SECONDS)
    return "done"


async def flood() -> StreamingResponse:
    async def pour() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * 100_000
                STARTED.set()
                await asyncio.sleep(0)
        finally:
            POURED.set()

    return StreamingResponse(pour())


async def ticks() -> StreamingResponse:
    async def tick() -> AsyncIterator[bytes]:
        STARTED.set()
        for _ in range(6):
            await asyncio.sleep(SECONDS / 2)
            yield b"tick "

    return StreamingResponse(tick())


def application(settings: Settings) -> FastAPI:
    app = FastAPI()
    for endpoint in (fields, size, slow, flood, ticks):
        app.add_api_route(f"/{endpoint.__name__}", endpoint, methods=["GET", "POST"])
    problems.install(app)
    app.add_middleware(BodyLimit, limit=settings.max_body_bytes)
    app.add_middleware(RequestId)
    return app


STARTED = threading.Event()
POURED = threading.Event()


class Caller:
    """One connection."""

    def __init__(self, url: str, clock: LoopClock) -> None:
        parts = urlsplit(url)
        self.clock = clock
        self.socket = socket.create_connection((parts.hostname or "", parts.port or 0), timeout=20)
        self.received = b""

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def until(self, end: bytes, *, turning: float = 0) -> bytes:
        """What comes up to ``end``, that included; whenever nothing comes the clock is turned on."""
        while end not in self.received:
            assert self._more(turning), self.received
        found, end, self.received = self.received.partition(end)
        return found + end

    def rest(self, *, turning: float = 0) -> bytes:
        """What comes until the server closes the connection."""
        with suppress(ConnectionResetError):
            while self._more(turning):
                pass
        return self.received

    def _more(self, turning: float) -> bool:
        if turning:
            self.clock.turn_until_readable(self.socket, turning)
        more = self.socket.recv(65536)
        self.received += more
        return bool(more)


@pytest.fixture
def call(run_app: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """Gives a context in which a server runs; what the context gives opens connections to it."""

    @contextmanager
    def calling(keep_alive: float = 1000 * SECONDS, **given: Any) -> Iterator[Callable[[], Caller]]:
        settings = Settings(models=("none",), **({"receive_seconds": SECONDS} | given))
        clock = LoopClock()
        options = {"timeout_keep_alive": keep_alive, "loop_factory": clock.make_loop}
        STARTED.clear()
        POURED.clear()
        with ExitStack() as callers, run_app(application(settings), settings, **options) as url:

            def connect() -> Caller:
                caller = Caller(url, clock)
                callers.enter_context(caller.socket)
                return caller

            yield connect

    return calling


def test_slow_answers_and_streams_have_their_time(call: Callable[..., Any]) -> None:
    with call() as connect:
        slow = connect()
        slow.send(b"POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
        assert STARTED.wait(20)
        assert slow.until(b'"done"', turning=SECONDS).startswith(b"HTTP/1.1 200")
        STARTED.clear()
        stream = connect()
        stream.send(b"GET /ticks HTTP/1.1\r\nHost: x\r\n\r\n")
        assert STARTED.wait(20)
        assert stream.until(b"0\r\n\r\n", turning=SECONDS / 4).count(b"tick ") == 6


def test_an_idle_connection_stays_for_the_next_request(call: Callable[..., Any]) -> None:
    with call() as connect:
        caller = connect()
        for _ in range(2):
            caller.send(HEAD + b"\r\n")
            caller.until(b'["host"]')
            caller.clock.turn_on(2 * SECONDS)


@pytest.mark.parametrize("data", [b"", b"\r\n", b"\r\n\r\n"])
def test_silence_is_ended_in_silence(call: Callable[..., Any], data: bytes) -> None:
    with call() as connect:
        caller = connect()
        caller.send(data)
        assert caller.rest(turning=SECONDS) == b""


@pytest.mark.parametrize(
    "data",
    [
        b"G",
        HEAD,
        HEAD + b"\r\n" + HEAD,
        b"POST /size HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n12345678",
        b"POST /size HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n",
    ],
)
def test_half_a_request_is_told_so(
    call: Callable[..., Any], data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with call() as connect, caplog.at_level(logging.INFO):
        caller = connect()
        caller.send(data)
        received = caller.rest(turning=SECONDS)
    *_, last = received.split(b"HTTP/1.1 ")
    assert last.startswith(b"408 ") and b"urn:waymark:problem:request-timeout" in last
    assert received.count(b"HTTP/1.1 ") == data.count(b"\r\n\r\nGET") + 1
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_what_follows_a_request_does_not_cost_its_reply(call: Callable[..., Any]) -> None:
    with call() as connect:
        caller = connect()
        caller.send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n" + HEAD)
        assert STARTED.wait(20)
        received = caller.rest(turning=SECONDS)
    assert received.startswith(b"HTTP/1.1 200") and received.endswith(b'"done"')
    assert b"connection: close" in received


def test_requests_in_a_row_are_answered_in_a_row(call: Callable[..., Any]) -> None:
    with call() as connect:
        caller = connect()
        post = b"POST /size HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
        caller.send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n" + post % 3 + b"123" + post % 100_000)
        assert STARTED.wait(20)
        caller.until(b'"done"', turning=SECONDS / 4)
        caller.until(b"\r\n\r\n3")
        # The third was waited for, unread, all that time: its own begins now, whatever its timer says.
        caller.clock.turn_on(0.7 * SECONDS)
        caller.send(b"x" * 100_000)
        caller.until(b"\r\n\r\n100000")


def test_a_body_that_was_refused_has_its_time_too(call: Callable[..., Any]) -> None:
    with call(max_body_bytes=2000, keep_alive=1) as connect:
        stalls, ends = connect(), connect()
        for caller in (stalls, ends):
            caller.send(b"POST /size HTTP/1.1\r\nHost: x\r\nContent-Length: 3000\r\n\r\n")
            assert caller.until(b"}").startswith(b"HTTP/1.1 413")
            caller.send(b"x" * 1000)
        ends.send(b"x" * 2000 + HEAD + b"\r\n")
        ends.until(b'["host"]')
        assert stalls.rest(turning=SECONDS) == ends.rest(turning=SECONDS) == b""


def test_one_connection_too_many_is_closed(call: Callable[..., Any], eventually: Callable[..., None]) -> None:
    with call(max_connections=2) as connect:
        first, second = connect(), connect()
        for caller in (first, second):
            caller.send(HEAD + b"\r\n")
            caller.until(b'["host"]')
        assert connect().rest() == b""
        first.socket.close()

        def served() -> bool:
            another = connect()
            with suppress(
                ConnectionResetError, BrokenPipeError
            ):  # it is closed as long as there are too many
                another.send(HEAD + b"Connection: close\r\n\r\n")
            return another.rest().startswith(b"HTTP/1.1 200")

        eventually(served)


def test_limits_of_a_head(call: Callable[..., Any]) -> None:
    many = b"".join(b"X-%d: 1\r\n" % index for index in range(MAX_FIELDS - 1))
    long = b"X-Long: " + b"a" * (MAX_HEAD_BYTES - len(HEAD) - 20) + b"\r\n"
    with call() as connect:
        for field, more in ((many, b"X-More: 1\r\n"), (long, b"X-More: " + b"b" * 100 + b"\r\n")):
            caller = connect()
            caller.send(HEAD + field + b"\r\n")
            assert caller.until(b'"]').startswith(b"HTTP/1.1 200")
            caller.send(HEAD + field + more + b"\r\n")
            assert caller.rest().startswith(b"HTTP/1.1 431")
        slowly = connect()
        slowly.send(HEAD + b"X-Long: ")
        for _ in range(33):
            slowly.send(b"a" * 1000)
        assert slowly.rest().startswith(b"HTTP/1.1 431")


def test_trailers_are_no_headers(call: Callable[..., Any]) -> None:
    with call() as connect:
        caller = connect()
        head = b"POST /fields HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        caller.send(head + b"1\r\nx\r\n0\r\nAuthorization: Bearer x\r\n\r\n")
        assert caller.until(b"]").endswith(b'["host","transfer-encoding"]')


def test_padding_does_not_make_a_body_endless(call: Callable[..., Any]) -> None:
    with call(max_body_bytes=2000) as connect:
        caller = connect()
        caller.send(b"POST /size HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;")
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            caller.send(b"x" * 100_000_000)


def test_a_reader_that_stops_is_left(call: Callable[..., Any], eventually: Callable[..., None]) -> None:
    with call() as connect:
        caller = connect()
        caller.send(b"GET /flood HTTP/1.1\r\nHost: x\r\n\r\n")
        for _ in range(4):
            STARTED.clear()
            while not STARTED.is_set():  # More is written: what was written before has been read.
                assert caller.socket.recv(1_000_000)
            caller.clock.turn_on(0.7 * STALLED_SECONDS)
        assert not POURED.is_set()

        def left() -> bool:
            caller.clock.turn_on(STALLED_SECONDS)
            return POURED.is_set()

        eventually(left)


def test_old_clients_need_no_host(call: Callable[..., Any]) -> None:
    with call() as connect:
        caller = connect()
        caller.send(b"GET /fields HTTP/1.0\r\n\r\n")
        assert caller.rest().endswith(b"[]")
