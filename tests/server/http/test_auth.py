"""Who is let in: with keys their holders, without keys whoever is at this machine."""

import hashlib
import re
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest
from fastapi import Request
from fastapi.testclient import TestClient
from pydantic import ValidationError
from starlette.routing import BaseRoute

from server.__main__ import main
from server.app import create_app
from server.client import Client, ServerProblem
from server.health.resource import HEALTH
from server.http.headers import is_page
from server.keys import KeysError, add_key, read_keys
from server.keys import main as make_key
from server.models.service import ModelService
from server.settings import Settings

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
DIGEST = hashlib.sha256(b"some key").hexdigest()


async def whoami(request: Request) -> str:
    return str(request.state.caller)


def client_of(service: ModelService, host: str) -> TestClient:
    """The service, which does not run: who gets in finds nothing done."""
    app = create_app(service.settings, service)
    app.add_api_route("/whoami", whoami, methods=["GET", "POST"], include_in_schema=False)
    return TestClient(app, base_url=f"http://{host}", raise_server_exceptions=False)


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    return tmp_path / "keys.txt"


@pytest.fixture
def guarded(keys_file: Path, make_service: Callable[..., ModelService]) -> tuple[TestClient, str]:
    """A service with a key, and that key."""
    key = add_key(keys_file, "alice")
    return client_of(make_service(keys_file=keys_file), "waymark.example"), key


@pytest.fixture
def open_client(make_service: Callable[..., ModelService]) -> TestClient:
    """A service without keys."""
    return client_of(make_service(), "localhost:8000")


def paths(routes: Sequence[BaseRoute]) -> Iterator[str]:
    """The paths of routes, those of included routers too, with a value in place of every parameter."""
    for route in routes:
        if (inner := getattr(route, "original_router", None)) is not None:
            yield from paths(inner.routes)
        elif (path := getattr(route, "path", None)) is not None:
            yield re.sub(r"\{[^}]*\}", "x", path) + ("/x" if type(route).__name__ == "Mount" else "")


def assert_unauthorized(reply: Any, key: str) -> None:
    assert reply.status_code == 401
    assert reply.headers["WWW-Authenticate"] == "Bearer"
    assert reply.headers["X-Request-Id"] and key not in reply.text
    if reply.request.method != "HEAD":
        assert reply.json()["type"] == "urn:waymark:problem:unauthorized"


def test_sweep_over_every_route(guarded: tuple[TestClient, str]) -> None:
    client, key = guarded
    everything = {
        *paths(client.app.routes),
        *HEALTH.open_paths,
        "/",
        "/web/app.js",
        "/nowhere",
        "/v1",
        "/docs",
    }
    assert {"/v1/plans", "/v1/models", "/openapi.json", "/livez"} < everything
    for path in sorted(everything):
        for method in METHODS:
            is_open = method in {"GET", "HEAD", "OPTIONS"} and (path in HEALTH.open_paths or is_page(path))
            for headers in ({}, {"Authorization": f"Bearer {key[:-1]}"}):
                reply = client.request(method, path, headers=headers)
                if is_open:
                    assert reply.status_code not in {401, 403}, (method, path)
                else:
                    assert_unauthorized(reply, key)
            reply = client.request(method, path, headers={"Authorization": f"Bearer {key}"})
            assert reply.status_code not in {401, 403, 421, 500}, (method, path)


@pytest.mark.parametrize(
    "form",
    [
        "",
        "{key}",
        "Bearer",
        "Bearer ",
        "Bearer {key}x",
        "Bearer {key} {key}",
        "Bearer {key},Bearer {key}",
        "Basic {key}",
        "Bearer {digest}",
        "Bearer " + "x" * 300,
        "Bearer \u00e9\u00ff",
    ],
)
def test_what_is_no_key(guarded: tuple[TestClient, str], form: str) -> None:
    client, key = guarded
    value = form.format(key=key, digest=hashlib.sha256(key.encode()).hexdigest())
    assert_unauthorized(client.post("/v1/plans", headers={"Authorization": value.encode("latin-1")}), key)
    assert_unauthorized(client.post("/v1/plans", headers={"X-Api-Key": key}), key)


def test_two_keys_at_once_are_none(guarded: tuple[TestClient, str]) -> None:
    client, key = guarded
    both = [("Authorization", f"Bearer {key}"), ("Authorization", "Bearer x")]
    assert_unauthorized(client.get("/v1/models", headers=both), key)


@pytest.mark.parametrize(
    "path",
    ["//v1/models", "/v1/models/", "/livez/", "/LIVEZ", "/livez/../v1/models", "/web/../v1/models", "/web"],
)
def test_odd_ways_to_write_a_path_open_nothing(guarded: tuple[TestClient, str], path: str) -> None:
    client, _ = guarded
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "headers": []}
    anyio.run(client.app, scope | {"query_string": b"", "http_version": "1.1"}, receive, send)
    assert sent[0]["status"] in {401, 404}


def test_callers_have_the_names_of_their_keys(
    guarded: tuple[TestClient, str], open_client: TestClient
) -> None:
    client, key = guarded
    assert client.get("/whoami", headers={"Authorization": f"bearer  {key}"}).json() == "alice"
    assert open_client.get("/whoami", headers={"Authorization": "Bearer x"}).json() == "anonymous"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1", "127.8.8.8:1", "[::1]:8000"])
def test_without_keys_this_machine_is_let_in(open_client: TestClient, host: str) -> None:
    assert open_client.get("/whoami", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "attacker.example",
        "attacker.example:8000",
        "localhost.attacker.example",
        "127.0.0.1.attacker.example",
        "127.0.0.1@attacker.example",
        "10.0.0.1",
        "0.0.0.0",
        "[::]",
        "::1",
        "2130706433",
        "localhost:x",
        "localhost ",
        "",
    ],
)
def test_without_keys_another_host_is_refused(open_client: TestClient, host: str) -> None:
    for path in ("/whoami", "/livez", "/", "/nowhere"):
        reply = open_client.get(path, headers={"Host": host})
        assert (reply.status_code, reply.json()["type"]) == (421, "urn:waymark:problem:forbidden-host")
        assert "attacker" not in reply.text


@pytest.mark.parametrize("site", ["cross-site", "same-site", "nonsense"])
def test_pages_of_others_may_not_send(
    open_client: TestClient, guarded: tuple[TestClient, str], site: str
) -> None:
    client, key = guarded
    for sender, headers in ((open_client, {}), (client, {"Authorization": f"Bearer {key}"})):
        reply = sender.post("/whoami", headers=headers | {"Sec-Fetch-Site": site})
        assert (reply.status_code, reply.json()["type"]) == (403, "urn:waymark:problem:cross-site")
        assert sender.get("/whoami", headers=headers | {"Sec-Fetch-Site": site}).status_code == 200
        assert sender.post("/whoami", headers=headers | {"Sec-Fetch-Site": "same-origin"}).status_code == 200


def test_the_client_sends_its_key(
    keys_file: Path,
    make_service: Callable[..., ModelService],
    serve: Callable[[ModelService], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key = add_key(keys_file, "alice")
    with serve(make_service(keys_file=keys_file)) as url:
        with Client(url, key=key) as client:
            assert [model.name for model in client.models()] == ["toy"]
        with Client(url) as client, pytest.raises(ServerProblem, match="Send the header"):
            client.models()
        monkeypatch.setenv("WAYMARK_KEY", key)
        with Client(url) as client:
            assert len(client.models()) == 1


def test_keys_are_made_and_only_their_hashes_kept(keys_file: Path) -> None:
    first = add_key(keys_file, "alice")
    keys_file.write_text(f"# our keys\n\n{keys_file.read_text().rstrip()}")
    second = add_key(keys_file, "bob-2")
    text = keys_file.read_text()
    assert text.startswith("# our keys\n\nalice ") and text.count("\n") == 4
    assert first not in text and second not in text and len({first, second}) == 2 and len(first) > 40
    keys = read_keys(keys_file)
    assert [keys.owner(key) for key in (first, second, "", first[1:])] == ["alice", "bob-2", None, None]
    assert not stat.S_IMODE(keys_file.stat().st_mode) & 0o022
    with pytest.raises(KeysError, match="has a key of that name"):
        add_key(keys_file, "alice")
    assert keys_file.read_text() == text


@pytest.mark.parametrize("name", ["", "a b", "anonymous", "x" * 65, "\u00e9", "a\n", "#a"])
def test_names_are_plain(keys_file: Path, name: str) -> None:
    with pytest.raises(KeysError, match="1 to 64 letters"):
        add_key(keys_file, name)
    assert not keys_file.exists()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "has no key; make one with"),
        ("# nothing\n", "has no key; make one with"),
        (f"alice {DIGEST}\ns3cret\n", "line 2: not a name"),
        (f"alice {DIGEST[:-1]}\n", "line 1: not a name"),
        (f"alice {DIGEST.upper()}\n", "line 1: not a name"),
        (f"alice {DIGEST} s3cret\n", "line 1: not a name"),
        (f"anonymous {DIGEST}\n", "line 1: not a name"),
        (f"alice {DIGEST}\n\nbob {DIGEST}\n", "line 3: the name or the key is there already"),
        ("alice s3cret\u00e9", r"cannot be read \(UnicodeDecodeError\)"),
    ],
)
def test_bad_keys_files_are_refused_and_not_repeated(keys_file: Path, text: str, sentence: str) -> None:
    keys_file.write_text(text, encoding="utf-8")
    with pytest.raises(KeysError, match=sentence) as caught:
        read_keys(keys_file)
    assert "s3cret" not in str(caught.value) and DIGEST not in str(caught.value)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "", "waymark.example"])
def test_no_other_machine_is_served_without_keys(host: str, keys_file: Path) -> None:
    with pytest.raises(ValidationError, match="make a key with"):
        Settings(host=host)
    Settings(host=host, keys_file=keys_file)


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--host", "0.0.0.0"], "other machines reach 0.0.0.0: make a key with"),
        (["--keys-file", "nowhere.txt"], "the keys file nowhere.txt cannot be read (FileNotFoundError)"),
    ],
)
def test_server_does_not_start(
    flags: list[str],
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["server", *flags])
    with pytest.raises(SystemExit):
        main()
    assert sentence in capsys.readouterr().err


def test_command_prints_the_key_once(
    keys_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["server.keys", "alice", "--file", str(keys_file)])
    make_key()
    assert read_keys(keys_file).owner(capsys.readouterr().out.strip()) == "alice"
    with pytest.raises(SystemExit):
        make_key()
    assert "has a key of that name" in capsys.readouterr().err
