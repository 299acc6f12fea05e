"""Bytes that are no good HTTP, on a real socket: an error or a closed connection, and the server lives on."""

import contextlib
import json
import random
import re
import select
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from stand_ins import LoopClock

from server.models.service import ModelService

HOST = b"Host: localhost\r\n"
JSON = b"Content-Type: application/json\r\n"
POST = b"POST /v1/plans HTTP/1.1\r\n" + HOST + JSON
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


def get(path: bytes) -> bytes:
    return b"GET " + path + b" HTTP/1.1\r\n" + HOST + b"\r\n"


def with_field(field: bytes) -> bytes:
    return b"GET /livez HTTP/1.1\r\n" + HOST + field + b"\r\n\r\n"


def with_length(length: bytes, body: bytes = b"{}") -> bytes:
    return POST + b"Content-Length: " + length + b"\r\n\r\n" + body


def lines() -> Iterator[bytes]:
    """First lines that are none."""
    yield from (b" ", b"\r\n", b"\r\n" * 20_000, b"\n\n\n", b"\x00", b"GET", b"GET /livez", b"{}\r\n\r\n")
    rest = b"\r\n" + HOST + b"\r\n"
    for line in [
        b"GET /livez HTTP",
        b"GET /livez HTTP/",
        b"GET /livez HTTP/x",
        b"GET /livez HTTP/1",
        b"GET /livez HTTP/9.9",
        b"GET /livez HTTP/0.9",
        b"GET /livez HTTP/2.0",
        b"GET /livez HTTP/1.1 HTTP/1.1",
        b"GET /livez SIP/2.0",
        b"GET livez HTTP/1.1",
        b"GET HTTP/1.1",
        b"get /livez HTTP/1.1",
        b"GETT /livez HTTP/1.1",
        b"G\x00T /livez HTTP/1.1",
        b"\xef\xbb\xbfGET /livez HTTP/1.1",
        b"A" * 5000 + b" /livez HTTP/1.1",
        b"GET /li vez HTTP/1.1",
        b"GET /livez\x00 HTTP/1.1",
        b"GET /livez\t HTTP/1.1",
        b"GET /livez\xff HTTP/1.1",
        b"GET \xc3\xa9 HTTP/1.1",
        b"GET http:// HTTP/1.1",
        b"GET http://[::1 HTTP/1.1",
        b"GET http://localhost:99999999/livez HTTP/1.1",
        b"CONNECT localhost:443 HTTP/1.1",
        b"CONNECT / HTTP/1.1",
        b"PRI * HTTP/2.0",
        b"OPTIONS * HTTP/1.1",
        b"TRACE /livez HTTP/1.1",
        b"DELETE / HTTP/1.1",
        b"GET /" + b"a" * 40_000 + b" HTTP/1.1",
        b"GET /livez?" + b"a" * 200_000 + b" HTTP/1.1",
    ]:
        yield line + rest


def protocols() -> Iterator[bytes]:
    """What others say on a port that they take for theirs."""
    yield b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(200))  # TLS
    yield b"SSH-2.0-OpenSSH_9.9\r\n"
    yield b"EHLO localhost\r\n"
    yield b"\x05\x01\x00"  # SOCKS
    yield b"*1\r\n$4\r\nPING\r\n"  # Redis
    yield b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
    yield b"\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x03\x00\x00\x00"  # RDP
    generator = random.Random(0)
    yield from (generator.randbytes(2 ** generator.randrange(1, 12)) for _ in range(20))


def fields() -> Iterator[bytes]:
    """Header fields that are none, or too many."""
    for field in [
        b"No colon",
        b": no name",
        b" : no name",
        b"X-Name : space",
        b"X Name: space",
        b"X-N\x00me: x",
        b"X-N\xc3\xa9me: x",
        b"X-Name: a\x00b",
        b"X-Name: a\rb",
        b"X-Name: a\x7fb",
        b"X-Name: a\x1bb",
        b"X-Name: a\r\n folded",
        b"Host: localhost",
        b"Host: attacker.example",
        b"X-Long: " + b"a" * 100_000,
        b"X" * 100_000 + b": a",
        b"\r\n".join(b"X-%d: a" % index for index in range(101)),
        b"\r\n".join(b"X-%d: a" % index for index in range(5000)),
        b"\r\n".join(b"Content-Length: 0" for _ in range(2)),
    ]:
        yield with_field(field)
    yield b"GET /livez HTTP/1.1\r\n\r\n"
    yield b"GET /livez HTTP/1.1\r\nHost:\r\n\r\n"
    yield b"GET /livez HTTP/1.1\r\nHost: attacker.example\r\n\r\n"
    yield b"GET /livez HTTP/1.1\r\nHost: localhost, localhost\r\n\r\n"
    yield b"GET /livez HTTP/1.0\r\nHost: localhost\r\nHost: localhost\r\n\r\n"
    yield b"GET /livez HTTP/1.1\r\n" + HOST + b"X-Name: a"
    yield b"GET /livez HTTP/1.1\r\n" + HOST + b"X-Name: a\r\n"


def framings() -> Iterator[bytes]:
    """Bodies whose end is not clear."""
    lengths = (b"-1", b"+2", b"2 2", b"2, 2", b"0x2", b"2.0", b"two", b"", b"\xb2", b"1" * 30, b"2;q=1")
    yield from (with_length(length) for length in lengths)
    yield with_length(b"5000000000")
    yield with_length(b"18446744073709551617")
    yield with_length(b"3")
    yield with_length(b"2\r\nContent-Length: 3")
    yield with_length(b"2\r\nTransfer-Encoding: chunked")
    for coding in (b"gzip", b"identity", b"chunked, identity", b"xchunked", b"chunked\x0b", b"\x00chunked"):
        yield POST + b"Transfer-Encoding: " + coding + b"\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    yield POST.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    for chunks in [
        b"zz\r\n{}\r\n0\r\n\r\n",
        b"-2\r\n{}\r\n0\r\n\r\n",
        b"2 2\r\n{}\r\n0\r\n\r\n",
        b"0x2\r\n{}\r\n0\r\n\r\n",
        b"ffffffffffffffffff\r\n{}",
        b"7fffffffffffffff\r\n{}",
        b"2\r\n{}0\r\n\r\n",
        b"2\r\n{}xx0\r\n\r\n",
        b"2\r\n{",
        b"2\r\n{}\r\n",
        b"2\r\n{}\r\n0\r\n",
        b"2;" + b"x" * 10_000 + b"\r\n{}\r\n0\r\n\r\n",
        b"2\r\n{}\r\n0\r\nAuthorization: Bearer x\r\n\r\n",
        b"2\r\n{}\r\n0\r\nNo colon\r\n\r\n",
        b"1\r\n{\r\n" * 3000 + b"0\r\n\r\n",
    ]:
        yield CHUNKED + chunks


def contents() -> Iterator[bytes]:
    """Whole requests that ask for what is not there or cannot be."""
    for path in [
        b"/web/../../pyproject.toml",
        b"/web/..%2f..%2fpyproject.toml",
        b"/web/%2e%2e/%2e%2e/pyproject.toml",
        b"/web/%00",
        b"/web/..\\settings.py",
        b"/web//settings.py",
        b"/%ff%fe",
        b"/%",
        b"/%zz",
        b"/v1/plans/%00",
        b"/v1/plans/..%2f..%2flivez",
        b"/v1/plans/" + b"a" * 20_000,
        b"/v1/models/../models",
        b"/docs/../livez",
        b"/.git/config",
    ]:
        yield get(path)
    yield with_field(b"Upgrade: websocket\r\nConnection: Upgrade").replace(b"/livez", b"/v1/plans")
    body = b"\x1f\x8b\x08\x00" + b"\x00" * 50
    yield POST + b"Content-Encoding: gzip\r\nContent-Length: 54\r\n\r\n" + body
    for kind in (
        b"",
        b"/",
        b"application",
        b"application/json\x0b",
        b'text/plain; a="',
        b"multipart/form-data",
    ):
        yield POST.replace(b"application/json", kind) + b"Content-Length: 2\r\n\r\n{}"
    for boundary in (b"boundary=", b"boundary=" + b"x" * 5000, b'boundary="', b"boundary=a; boundary=b"):
        form = POST.replace(b"application/json", b"multipart/form-data; " + boundary)
        yield form + b"Content-Length: 4\r\n\r\n--\r\n"
    yield POST + b"Expect: 200-ok\r\nContent-Length: 2\r\n\r\n{}"
    yield POST + b"X-Request-Id: " + b"\xff" * 200 + b"\r\nContent-Length: 2\r\n\r\n{}"
    yield POST + b"Accept: " + b"text/event-stream;q=x," * 200 + b"\r\nContent-Length: 2\r\n\r\n{}"


CORPUS = {
    f"{part.__name__}-{index}": data
    for part in (lines, protocols, fields, framings, contents)
    for index, data in enumerate(part())
}


def talk(url: str, data: bytes, clock: LoopClock) -> bytes:
    """Send, and read until the server has closed or one reply is whole; where nothing comes time passes."""
    parts = urlsplit(url)
    received = b""
    with socket.create_connection((parts.hostname, parts.port), timeout=20) as connection:
        try:
            connection.sendall(data)
            while not whole(received):
                clock.turn_until_readable(connection, 60)
                if not (more := connection.recv(65536)):
                    break
                received += more
        except (ConnectionResetError, BrokenPipeError):
            pass
    return received


def whole(received: bytes) -> bool:
    head, end, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"\r\ncontent-length: (\d+)", head.lower())
    return bool(end) and length is not None and len(body) >= int(length[1])


def assert_refused(received: bytes) -> None:
    """A problem with an error of the client's; or nothing at all."""
    if not received:
        return
    head, _, content = received.partition(b"\r\n\r\n")
    status = re.match(rb"HTTP/1\.1 (4\d\d) ", head)
    assert status, received[:100]
    assert b"\ncontent-type: application/problem+json" in head.lower()
    found = json.loads(content)
    assert (found["status"], found["type"][:20]) == (int(status[1]), "urn:waymark:problem:")
    assert b"\nx-request-id: " + found["request_id"].encode() in head.lower()
    assert b"attacker" not in content


def test_corpus(
    make_service: Callable[..., ModelService], serve: Callable[..., Any], body: dict[str, Any]
) -> None:
    assert len(CORPUS) >= 160 and len(set(CORPUS.values())) == len(CORPUS)
    refused = 0
    clock = LoopClock()
    with (
        serve(make_service(receive_seconds=60), loop_factory=clock.make_loop) as url,
        httpx2.Client(base_url=url, headers={"Connection": "close"}) as good,
    ):
        for index, (name, data) in enumerate(CORPUS.items()):
            received = talk(url, data, clock)
            try:
                assert_refused(received)
            except AssertionError as error:
                pytest.fail(f"{name} {data[:80]!r}: {error}")
            refused += bool(received)
            assert good.get("/v1/models").status_code == 200
            if index % 20 == 0:
                assert good.post("/v1/plans", json=body).status_code == 200
    assert refused > 150


def ended(connection: socket.socket) -> bool:
    """Whether the server has said something, as its last word; if not, there is some progress."""
    if select.select([connection], [], [], 0)[0]:
        return True
    with contextlib.suppress(OSError):
        connection.sendall(b" ")
    return False


def test_half_requests_are_ended_and_others_served(
    make_service: Callable[..., ModelService], serve: Callable[[ModelService], Any], body: dict[str, Any]
) -> None:
    begun = (b"GET /livez HTTP/1.1\r\nHost: local", with_length(b"100", b"{"), CHUNKED + b"64\r\n{", b"P")
    with serve(make_service(receive_seconds=4)) as url, httpx2.Client(base_url=url) as good:
        parts = urlsplit(url)
        address = (parts.hostname, parts.port)
        connections = [socket.create_connection(address) for _ in range(200)]
        for index, connection in enumerate(connections):
            connection.sendall(begun[index % len(begun)])
        waiting = set(connections[::2])
        given_up = time.monotonic() + 60
        while waiting:
            assert time.monotonic() < given_up, f"{len(waiting)} are waited for as long as something comes"
            assert good.post("/v1/plans", json=body).status_code == 200
            assert good.get("/livez", headers={"Connection": "close"}).status_code == 200
            time.sleep(0.1)
            waiting -= {connection for connection in waiting if ended(connection)}
        for connection in connections:
            connection.settimeout(20)
            with connection, contextlib.suppress(ConnectionResetError):
                assert_refused(connection.recv(65536))
                assert connection.recv(65536) == b""
        assert good.get("/v1/models").status_code == 200
