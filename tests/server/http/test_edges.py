"""HTTP where few look: HEAD and OPTIONS, packed bodies, old clients, odd targets, a proxy with a path."""

import gzip
import json
import socket
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from fastapi.testclient import TestClient
from pydantic import ValidationError

from server.client import Client
from server.http.page import ASSETS
from server.models.service import ModelService
from server.settings import Settings

HOST = b"Host: localhost\r\n"
DIFFERENT = {"date", "x-request-id"}


def exchange(url: str, data: bytes) -> bytes:
    """What a server says to these bytes until it ends the connection."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=60) as connection:
        connection.sendall(data)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def stable(reply: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in reply.headers.items() if name.lower() not in DIFFERENT}


def readable(http: Any, body: dict[str, Any]) -> Iterator[str]:
    """Every address that can be read, of the interface and of the page."""
    plan = http.post("/v1/plans", json=body).json()["id"]
    version = http.get("/v1/models").json()["models"][0]["version"]
    for path, operations in http.get("/openapi.json").json()["paths"].items():
        if "get" in operations:
            yield path.replace("{plan}", plan).replace("{name}", "toy").replace("{version}", version)
    yield from ("/", "/openapi.json", *(f"/web/{name}" for name in ASSETS))


def test_head_is_get_without_a_body_everywhere(url: str, body: dict[str, Any]) -> None:
    with httpx2.Client(base_url=url, timeout=20) as http:
        paths = [*readable(http, body), "/nowhere", "/v1/plans/none"]
        assert len(paths) > 20
        for path in paths:
            got, head = http.get(path), http.head(path)
            assert (head.status_code, head.content) == (got.status_code, b""), path
            found = stable(head)
            assert found.keys() == stable(got).keys(), path
            if path != "/metrics":  # counts both
                assert found == stable(got), path
        counted = http.get("/metrics").text
        assert 'route="/v1/models",method="HEAD"' in counted or 'method="HEAD",route="/v1/models"' in counted
        refused = http.head("/v1/plans")
        assert (refused.status_code, refused.headers["Allow"]) == (405, "POST")


def test_head_of_what_is_watched_does_not_watch(http: TestClient, body: dict[str, Any], gated: Any) -> None:
    gated.gate.clear()
    place = http.post("/v1/plans", json=body, headers={"Prefer": "respond-async"}).headers["Location"]
    head = http.head(place, headers={"Accept": "text/event-stream"})
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Type"].startswith("text/event-stream")
    gated.gate.set()


def test_options_name_the_methods(http: TestClient) -> None:
    for path, allowed in (("/v1/plans", "POST"), ("/v1/models", "GET, HEAD"), ("/", "GET, HEAD")):
        reply = http.options(path)
        assert (reply.status_code, reply.content, reply.headers["Allow"]) == (204, b"", allowed)
    assert http.options("/nowhere").status_code == 404


@pytest.mark.parametrize(
    ("headers", "answer"),
    [
        ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, {"Accept-Encoding": "identity"}),
        ({"Content-Type": "application/json", "Content-Encoding": "br"}, {"Accept-Encoding": "identity"}),
        (
            {"Content-Type": "application/json", "Content-Encoding": "identity, gzip"},
            {"Accept-Encoding": "identity"},
        ),
        (
            {"Content-Type": "multipart/form-data; boundary=a", "Content-Encoding": "gzip"},
            {"Accept-Encoding": "identity"},
        ),
        ({"Content-Type": "text/plain"}, {"Accept": "application/json, multipart/form-data"}),
    ],
)
def test_bodies_that_are_not_read_are_told_what_is(
    http: TestClient, body: dict[str, Any], headers: dict[str, str], answer: dict[str, str]
) -> None:
    packed = gzip.compress(json.dumps(body).encode())
    reply = http.post("/v1/plans", content=packed, headers=headers)
    assert (reply.status_code, reply.json()["type"]) == (415, "urn:waymark:problem:unsupported-media-type")
    (sentence,) = {reply.json()["detail"]}
    assert all(reply.headers[name] == value for name, value in answer.items())
    assert "identity" in sentence or sentence == "Send application/json or multipart/form-data."
    scene = http.post("/v1/scenes", content=packed, headers=headers)
    assert scene.status_code == 415


def test_an_encoding_that_changes_nothing_is_read(http: TestClient, body: dict[str, Any]) -> None:
    for encoding in ("identity", "Identity", ""):
        assert http.post("/v1/plans", json=body, headers={"Content-Encoding": encoding}).status_code == 200


def post(target: bytes, content: dict[str, Any], version: bytes, *fields: bytes) -> bytes:
    data = json.dumps(content).encode()
    head = [b"POST " + target + b" HTTP/" + version, b"Host: localhost", b"Content-Type: application/json"]
    return b"\r\n".join([*head, *fields, b"Content-Length: %d" % len(data), b"", data])


def test_an_old_client_gets_a_stream_that_ends_with_the_connection(url: str, body: dict[str, Any]) -> None:
    received = exchange(url, post(b"/v1/plans", body, b"1.0", b"Accept: text/event-stream"))
    head, _, events = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200") and b"chunked" not in head.lower()
    assert b"connection: close" in head.lower()
    assert events.startswith(b"event: queued\ndata: ") and events.endswith(b"}\n\n")
    assert events.count(b"event: iteration\n") == 3 and events.count(b"event: result\n") == 1
    new = exchange(url, post(b"/v1/plans", body, b"1.1", b"Accept: text/event-stream", b"Connection: close"))
    assert b"\r\ntransfer-encoding: chunked\r\n" in new and new.endswith(b"\r\n0\r\n\r\n")


def test_only_new_clients_are_told_to_continue(url: str, body: dict[str, Any]) -> None:
    expecting = (b"Expect: 100-continue", b"Connection: close")
    assert exchange(url, post(b"/v1/plans", body, b"1.0", *expecting)).startswith(b"HTTP/1.1 200")
    new = exchange(url, post(b"/v1/plans", body, b"1.1", *expecting))
    assert new.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200")
    # What is refused by its head alone is not asked to continue.
    for refused in (b"Content-Encoding: gzip", b"Content-Length: 99999999"):
        data = b"POST /v1/plans HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        data += b"\r\n".join([*expecting, refused, b"", b""])
        assert exchange(url, data).startswith((b"HTTP/1.1 415", b"HTTP/1.1 413"))


@pytest.mark.parametrize(
    ("target", "host", "status"),
    [
        (b"http://localhost/livez", b"localhost", 200),
        (b"HTTP://localhost:80/livez?verbose", b"localhost", 200),
        (b"http://localhost", b"localhost", 200),
        (b"http://localhost?x", b"localhost", 200),
        (b"http://localhost/livez", b"attacker.example", 200),  # the target counts
        (b"http://attacker.example/livez", b"localhost", 421),
        (b"/livez?a=%zz&b=%ff&%", b"localhost", 200),
        (b"/readyz?verbose=%zz", b"localhost", 200),
        (b"/readyz?verbose=%ff%fe", b"localhost", 200),
        (b"/livez?", b"localhost", 200),
        (b"/%6civez", b"localhost", 200),
        (b"//livez", b"localhost", 404),
        (b"/v1//models", b"localhost", 404),
        (b"/v1/models/", b"localhost", 404),
        (b"/v1/./models", b"localhost", 404),
    ],
)
def test_targets(url: str, target: bytes, host: bytes, status: int) -> None:
    data = b"GET " + target + b" HTTP/1.1\r\nHost: " + host + b"\r\nConnection: close\r\n\r\n"
    head, _, content = exchange(url, data).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), head
    if status == 404 and b"." not in target:
        assert json.loads(content)["detail"].endswith("have single slashes, and none at the end.")


def test_copies_are_asked_after_in_any_words(http: TestClient, body: dict[str, Any]) -> None:
    plan = http.post("/v1/plans", json=body).json()["id"]
    for path in ("/", "/web/main.js", f"/v1/plans/{plan}"):
        tag = http.get(path).headers["ETag"]
        for words in (tag, f"W/{tag}", f'"other", {tag}', "*"):
            reply = http.get(path, headers={"If-None-Match": words})
            assert (reply.status_code, reply.content, reply.headers["ETag"]) == (304, b"", tag)
        assert http.get(path, headers={"If-None-Match": '"other"'}).status_code == 200
        part = http.get(path, headers={"Range": "bytes=0-3"})
        assert part.status_code == 200 and len(part.content) > 4  # a server may always send the whole


def test_a_stream_that_is_declined_is_none(http: TestClient, body: dict[str, Any]) -> None:
    for accepted in ("text/event-stream;q=0, application/json", "text/event-stream; q=0.0"):
        reply = http.post("/v1/plans", json=body, headers={"Accept": accepted})
        assert reply.headers["Content-Type"] == "application/json"


@pytest.fixture
def behind(make_service: Callable[..., ModelService], serve: Callable[..., Any]) -> Iterator[str]:
    with serve(make_service(root_path="/waymark")) as url:
        yield url


@pytest.mark.parametrize("prefix", ["/waymark", ""])
def test_everything_stands_under_the_path_of_a_proxy(behind: str, body: dict[str, Any], prefix: str) -> None:
    """Whether the proxy hands the path on or takes it off."""
    with httpx2.Client(base_url=behind + prefix, timeout=20) as http:
        page = http.get("/")
        assert page.status_code == 200 and "script-src 'self'" in page.headers["Content-Security-Policy"]
        assert http.get("/web/main.js").status_code == http.get("/readyz").status_code == 200
        assert http.get("/openapi.json").json()["servers"] == [{"url": "/waymark"}]
        later = http.post("/v1/plans", json=body, headers={"Prefer": "respond-async"})
        assert later.headers["Location"] == f"/waymark/v1/plans/{later.json()['id']}"
        assert httpx2.get(behind + later.headers["Location"], timeout=20).status_code == 200
    bare = httpx2.get(f"{behind}/waymark", timeout=20)
    assert (bare.status_code, bare.headers["Location"]) == (308, "/waymark/")
    assert httpx2.get(f"{behind}/waymarks/livez", timeout=20).status_code == 404


def test_the_client_takes_a_server_under_a_path(behind: str) -> None:
    with Client(f"{behind}/waymark") as client:
        assert client.ready()


def test_addresses_in_the_page_are_relative() -> None:
    """An address that begins with a slash leaves the path under which a proxy has the page."""
    for name, asset in ASSETS.items():
        text = asset.content.decode()
        for sign in (
            'href="/',
            'src="/',
            'from "/',
            'import("/',
            "fetch(`/",
            'fetch("/',
            "url(/",
            "location.origin",
        ):
            assert sign not in text, (name, sign)


@pytest.mark.parametrize(
    ("given", "path"), [("", ""), ("/", ""), ("waymark", "/waymark"), ("/a/b/", "/a/b"), ("//a", "/a")]
)
def test_root_paths(given: str, path: str) -> None:
    assert Settings(models=("none",), root_path=given).root_path == path


@pytest.mark.parametrize("given", ["/a b", "http://x/y", "/a\r\nX: y", "/a//b", "/é"])
def test_root_paths_that_are_none(given: str) -> None:
    with pytest.raises(ValidationError, match="a path such as /waymark"):
        Settings(models=("none",), root_path=given)


def test_no_path_no_servers(http: TestClient) -> None:
    assert "servers" not in http.get("/openapi.json").json()
