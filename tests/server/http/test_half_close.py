"""Clients that say their last word and listen on, beside those that have left: both end what they send."""

import asyncio
import http.client
import io
import socket
import struct
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI, Request
from starlette.responses import Response, StreamingResponse

from server.settings import Settings

HOST = b"Host: x\r\n\r\n"
GATE, STARTED, LEFT = threading.Event(), threading.Event(), threading.Event()


async def quick() -> str:
    return "quick"


async def size(request: Request) -> int:
    return len(await request.body())


async def gated() -> str:
    STARTED.set()
    await asyncio.to_thread(GATE.wait, 60)
    return "gated"


async def waits(request: Request) -> Response:
    STARTED.set()
    while not await request.is_disconnected():
        await asyncio.sleep(0.01)
    LEFT.set()
    return Response(status_code=499)


async def stream(request: Request) -> StreamingResponse:
    async def tell() -> AsyncIterator[bytes]:
        yield b"first "
        STARTED.set()
        try:
            await asyncio.to_thread(GATE.wait, 60) if request.query_params else await asyncio.sleep(3600)
        except asyncio.CancelledError:
            LEFT.set()
            raise
        yield b"last"

    return StreamingResponse(tell())


@pytest.fixture(params=["asyncio", "uvloop"])
def connect(request: pytest.FixtureRequest, run_app: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """``connect(bytes)``: a context that has said so much to a server of either loop."""
    app = FastAPI()
    for endpoint in (quick, size, gated, waits, stream):
        app.add_api_route(f"/{endpoint.__name__}", endpoint, methods=["GET", "POST"])
    for event in (GATE, STARTED, LEFT):
        event.clear()
    loop = asyncio.SelectorEventLoop if request.param == "asyncio" else None
    with run_app(app, Settings(models=("none",)), loop_factory=loop) as url:
        parts = urlsplit(url)

        @contextmanager
        def connecting(data: bytes) -> Iterator[socket.socket]:
            with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=60) as connection:
                connection.sendall(data)
                yield connection

        yield connecting
        GATE.set()


def get(path: bytes) -> bytes:
    return b"GET /" + path + b" HTTP/1.1\r\n" + HOST


def rest(connection: socket.socket) -> bytes:
    """What comes until the server ends it."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


class Received:
    """In the place of a socket: bytes that came."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def makefile(self, mode: str) -> Any:
        return io.BytesIO(self.data)


def read(data: bytes) -> tuple[int, bytes]:
    """Status and body of a reply, as a client of Python's own reads it."""
    reply = http.client.HTTPResponse(Received(data))  # type: ignore[arg-type]
    with closing(reply):
        reply.begin()
        return reply.status, reply.read()


def test_a_whole_request_and_an_end_get_a_reply_and_an_end(connect: Callable[..., Any]) -> None:
    for request, body in (
        (get(b"quick"), b'"quick"'),
        (b"POST /size HTTP/1.1\r\nContent-Length: 3\r\n" + HOST + b"abc", b"3"),
        (b"GET /quick HTTP/1.0\r\n\r\n", b'"quick"'),
    ):
        with connect(request) as connection:
            connection.shutdown(socket.SHUT_WR)
            assert read(rest(connection)) == (200, body)


def test_a_reply_that_takes_its_time_comes_unchanged(connect: Callable[..., Any]) -> None:
    with connect(get(b"gated")) as connection:
        assert STARTED.wait(20)
        connection.shutdown(socket.SHUT_WR)
        begun = connection.recv(1)  # sent to see whether the client is there
        assert begun == b"H"
        GATE.set()
        assert read(begun + rest(connection)) == (200, b'"gated"')


def test_a_stream_goes_on_after_the_last_word(connect: Callable[..., Any]) -> None:
    with connect(get(b"stream?ends")) as connection:
        assert STARTED.wait(20)
        received = b""
        while b"first " not in received:
            received += connection.recv(65536)
        connection.shutdown(socket.SHUT_WR)
        while not received.endswith(b"\r\n0"):
            received += connection.recv(1)
        GATE.set()
        assert read(received + rest(connection)) == (200, b"first last")


@pytest.mark.parametrize("path", [b"waits", b"stream"])
@pytest.mark.parametrize("rudely", [False, True])
def test_who_has_left_is_noticed(connect: Callable[..., Any], path: bytes, rudely: bool) -> None:
    with connect(get(path)) as connection:
        assert STARTED.wait(20)
        if rudely:  # a reset instead of an end
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert LEFT.wait(20)


def test_requests_in_a_row_are_all_answered(connect: Callable[..., Any]) -> None:
    with connect(get(b"gated") + get(b"quick") + get(b"quick")) as connection:
        assert STARTED.wait(20)
        connection.shutdown(socket.SHUT_WR)
        GATE.set()
        received = rest(connection)
    replies = [b"HTTP/1.1 " + part for part in received.split(b"HTTP/1.1 ")[1:]]
    assert [read(reply) for reply in replies] == [(200, b'"gated"'), (200, b'"quick"'), (200, b'"quick"')]
    assert [b"connection: close" in reply for reply in replies] == [False, False, True]


def test_half_a_request_is_told_so_and_costs_no_other_its_reply(connect: Callable[..., Any]) -> None:
    halves = (b"GET /qu", b"POST /size HTTP/1.1\r\nContent-Length: 9\r\n" + HOST + b"123")
    for half in halves:
        with connect(half) as connection:
            connection.shutdown(socket.SHUT_WR)
            status, body = read(rest(connection))
            assert status == 400 and b"The request ended before it was whole." in body
        GATE.clear()
        STARTED.clear()
        with connect(get(b"gated") + half) as connection:
            assert STARTED.wait(20)
            connection.shutdown(socket.SHUT_WR)
            GATE.set()
            received = rest(connection)
            assert read(received) == (200, b'"gated"')
            assert all(part.startswith(b"400 ") for part in received.split(b"HTTP/1.1 ")[2:])


def test_the_request_that_is_answered_learns_of_the_end_though_another_waits(
    connect: Callable[..., Any],
) -> None:
    with connect(get(b"waits") + get(b"quick")) as connection:
        assert STARTED.wait(20)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_WR)
    assert LEFT.wait(20)
