"""Bad requests: a problem with a clear sentence, nothing repeated, and the server goes on."""

import base64
import json
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from server.app import create_app
from server.http.problems import all_kinds
from server.models.service import ModelService
from server.settings import Settings

PREFIX = "urn:waymark:problem:"


def assert_problem(reply: Any, status: int, slug: str, sentence: str = "") -> None:
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    problem = reply.json()
    assert (problem["type"], problem["status"]) == (PREFIX + slug, status)
    assert sentence in problem["detail"], problem["detail"]
    assert problem["request_id"] == reply.headers["X-Request-Id"]
    assert reply.content.isascii()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"samples": 1}, "samples: Input should be greater than or equal to 2"),
        ({"samples": 120_001}, "samples: Input should be less than or equal to 120000"),
        ({"iterations": 0}, "iterations: Input should be greater than or equal to 1"),
        ({"iterations": 120_001}, "iterations: Input should be less than or equal to 120000"),
        ({"deadline_ms": 0}, "deadline_ms: Input should be greater than or equal to 1"),
        ({"deadline_ms": 60_001}, "deadline_ms: This server allows up to 60000."),
        ({"seed": -1}, "seed: Input should be greater than or equal to 0"),
        ({"seed": 2**63}, "seed: Input should be less than or equal to 9223372036854775807"),
        ({"seed": "7"}, "seed: Input should be a valid integer"),
        ({"seed": True}, "seed: Input should be a valid integer"),
        ({"seed": 7.0}, "seed: Input should be a valid integer"),
        ({"model": 3}, "model: Input should be a valid string"),
        ({"start": None}, "start: Input should be a valid string"),
        ({"goal": "%%%"}, "goal: This is not base64"),
        ({"goal": "data:image/png;base64,AAAA"}, "without a data: prefix"),
        ({"goal": "\u00e9"}, "goal: This is not base64"),
        (
            {"speed": 3},
            "speed: Unknown field; the fields are alternatives, deadline_ms, goal, iterations, keyframes, ",
        ),
        ({"<script>": 3}, "(unprintable name): Unknown field"),
    ],
)
def test_bad_field(http: TestClient, body: dict[str, Any], change: dict[str, Any], sentence: str) -> None:
    reply = http.post("/v1/plans", json=body | change)
    assert_problem(reply, 422, "invalid-request", sentence)
    assert reply.json()["errors"][0]["field"] in sentence or reply.json()["errors"][0]["field"] in change
    assert http.post("/v1/plans", json=body).status_code == 200


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"nonsense",
        b"[]",
        b"null",
        b'{"seed": NaN}',
        b'{"seed": Infinity}',
        b'{"seed": 1e999}',
        b'{"seed": ' + b"9" * 5000 + b"}",
        b'{"model": "\\ud800"}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"start": "\x00"}',
    ],
)
def test_bad_json(http: TestClient, text: bytes) -> None:
    reply = http.post("/v1/plans", content=text, headers={"Content-Type": "application/json"})
    assert_problem(reply, 422, "invalid-request")
    assert len(reply.content) < 2000
    assert http.get("/livez").status_code == 200


def test_values_are_not_repeated(http: TestClient, body: dict[str, Any]) -> None:
    body |= {"model": "s3cret" * 50, "seed": "s3cret", "goal": "s3cret!", "samples": ["s3cret"]}
    reply = http.post("/v1/plans", json=body)
    assert_problem(reply, 422, "invalid-request")
    assert "s3cret" not in reply.text


@pytest.mark.parametrize("name", ["start", "goal"])
def test_bad_pictures(
    http: TestClient, body: dict[str, Any], picture_file: Callable[..., bytes], name: str
) -> None:
    files = {
        "is not a PNG or JPEG picture": b"<svg/>",
        "is 32 x 64 pixels; this model needs 64 x 64.": picture_file(size=(32, 64)),
        "is 4000 x 4000 pixels": picture_file(size=(4000, 4000), mode="1"),
        "is damaged or incomplete": picture_file()[:-40],
        "is not a PNG or JPEG": picture_file("GIF"),
    }
    for sentence, data in files.items():
        reply = http.post("/v1/plans", json=body | {name: base64.b64encode(data).decode()})
        assert_problem(reply, 422, "invalid-picture", f"{name} {sentence}")
    assert http.post("/v1/plans", json=body).status_code == 200


def test_work_budget(http: TestClient, body: dict[str, Any]) -> None:
    reply = http.post("/v1/plans", json=body | {"samples": 2000, "iterations": 11})
    assert_problem(
        reply, 422, "too-much-work", "2000 samples x 6 keyframes x 11 iterations = 132000 keyframes"
    )


def test_unknown_model_names_those_there_are(http: TestClient, body: dict[str, Any]) -> None:
    reply = http.post("/v1/plans", json=body | {"model": "toys"})
    assert_problem(reply, 404, "unknown-model", "available: toy.")


def test_unknown_path_and_method(http: TestClient) -> None:
    for path in ("/v1", "/v1/plan", "/v1/plans/", "/redoc", "/v1/plans/1/2"):
        assert_problem(http.get(path), 404, "not-found")
    for path, allowed in (("/v1/plans", "POST"), ("/v1/plans/1", "DELETE, GET, HEAD")):
        reply = http.put(path, json={})
        assert_problem(reply, 405, "method-not-allowed")
        assert reply.headers["Allow"] == allowed


@pytest.mark.parametrize(
    "media_type", [None, "text/plain", "application/x-www-form-urlencoded", "application/xml"]
)
def test_other_media_types(http: TestClient, media_type: str | None) -> None:
    headers = {} if media_type is None else {"Content-Type": media_type}
    reply = http.post("/v1/plans", content=b"{}", headers=headers)
    assert_problem(reply, 415, "unsupported-media-type", "application/json or multipart/form-data")


@pytest.mark.parametrize("path", ["/v1/plans", "/nowhere"])
def test_announced_body_too_large(http: TestClient, path: str) -> None:
    reply = http.post(path, content=b" " * 5_000_000, headers={"Content-Type": "application/json"})
    assert_problem(reply, 413, "body-too-large", "up to 4194304 bytes")


@pytest.mark.parametrize("media_type", ["application/json", "multipart/form-data; boundary=b"])
def test_growing_body_too_large(http: TestClient, media_type: str) -> None:
    def chunks() -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="start"; filename="f"\r\n\r\n'
        for _ in range(50):
            yield b" " * 100_000

    reply = http.post("/v1/plans", content=chunks(), headers={"Content-Type": media_type})
    assert_problem(reply, 413, "body-too-large", "up to 4194304 bytes")


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ({"start": b"x"}, "goal: Send this part, as a file"),
        ({"start": b"x", "goal": b"x", "more": b"x"}, "more: Parts are start, goal and request"),
        ({"start": b"x", "goal": b"x", "request": b"{"}, "body: Invalid JSON"),
        ({"start": b"x", "goal": b"x", "request": b'{"start": "x"}'}, "start: Unknown field"),
    ],
)
def test_bad_form(http: TestClient, parts: dict[str, bytes], sentence: str) -> None:
    reply = http.post("/v1/plans", files={name: ("f", data) for name, data in parts.items()})
    assert_problem(reply, 422, "invalid-request", sentence)


def test_repeated_part_and_part_without_file_name(http: TestClient) -> None:
    part = ("f", b"x")
    repeated = http.post("/v1/plans", files=[("start", part), ("start", part), ("goal", part)])
    assert_problem(repeated, 422, "invalid-request", "start: Parts are start, goal and request")
    field = http.post("/v1/plans", files={"start": part}, data={"goal": "x"})
    assert_problem(field, 422, "invalid-request", "goal: Send this part, as a file")


@pytest.mark.parametrize(
    ("media_type", "data"),
    [
        ("multipart/form-data", b""),
        ("multipart/form-data; boundary=b", b"no boundary here"),
        ("multipart/form-data; boundary=b", b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n"),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n' * 9,
        ),
    ],
)
def test_broken_form(http: TestClient, media_type: str, data: bytes) -> None:
    reply = http.post("/v1/plans", content=data, headers={"Content-Type": media_type})
    assert_problem(reply, 400, "bad-request")


def test_text_in_a_charset_that_utf8_cannot_hold(http: TestClient) -> None:
    head = "multipart/form-data; boundary=b; charset=utf-7"
    data = "".join(
        f'--b\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n+2AA-\r\n'
        for name, file in [("start", '; filename="f"'), ("goal", '; filename="f"'), ("request", "")]
    )
    reply = http.post("/v1/plans", content=f"{data}--b--\r\n".encode(), headers={"Content-Type": head})
    assert_problem(reply, 422, "invalid-request", "body: Invalid JSON")


def test_full_queue(
    http: TestClient, body: dict[str, Any], gated: Any, service: ModelService, eventually: Callable[..., None]
) -> None:
    gated.gate.clear()
    replies: list[Any] = []
    threads = [
        threading.Thread(target=lambda: replies.append(http.post("/v1/plans", json=body))) for _ in range(3)
    ]
    threads[0].start()
    eventually(lambda: gated.plans == 1)
    for thread in threads[1:]:
        thread.start()
    # One is being planned, two wait: that is all this service keeps.
    eventually(lambda: service.engine.unfinished == 3)
    refused = http.post("/v1/plans", json=body)
    assert_problem(refused, 503, "queue-full", "2 requests are already waiting")
    assert int(refused.headers["Retry-After"]) >= 1
    assert http.get("/readyz").status_code == 200
    gated.gate.set()
    for thread in threads:
        thread.join(20)
    assert [reply.status_code for reply in replies] == [200] * 3


def test_deadline_that_passes_in_the_queue(
    clock: Any, http: TestClient, body: dict[str, Any], gated: Any, eventually: Callable[..., None]
) -> None:
    gated.gate.clear()
    replies: dict[str, Any] = {}

    def post(name: str, deadline_ms: int) -> None:
        replies[name] = http.post("/v1/plans", json=body | {"deadline_ms": deadline_ms})

    first = threading.Thread(target=post, args=("first", 60_000))
    first.start()
    eventually(lambda: gated.plans == 1)
    second = threading.Thread(target=post, args=("second", 20_000))
    second.start()
    eventually(lambda: http.app.state.service.engine.unfinished == 2)
    clock.sleep(21)
    gated.gate.set()
    first.join(20)
    second.join(20)
    assert replies["first"].status_code == 200
    assert_problem(replies["second"], 503, "deadline-passed")
    assert gated.plans == 1


def test_failure_inside_says_nothing_of_the_inside(
    http: TestClient, body: dict[str, Any], gated: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("out of memory at 0xdead")

    with monkeypatch.context() as patch:
        patch.setattr(gated, "planning", fail)
        reply = http.post("/v1/plans", json=body, headers={"X-Request-Id": "failing"})
    assert_problem(reply, 500, "internal-error")
    assert "0xdead" not in reply.text and reply.json()["request_id"] == "failing"
    assert http.post("/v1/plans", json=body).status_code == 200


def test_failed_warm_up_is_not_ready(
    make_service: Callable[..., ModelService], gated: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gated, "planning", lambda *args, **kwargs: json.loads("{"))
    service = make_service()
    with TestClient(create_app(service.settings, service), base_url="http://localhost") as client:
        while (reply := client.get("/readyz")).json()["detail"].startswith("The models are being"):
            pass
    assert_problem(reply, 503, "not-ready", "The warm-up failed")


def test_two_models_of_one_name_do_not_start(ready_planner: Any) -> None:
    service = ModelService(Settings(models=("toy", "toy")), lambda name, device: ready_planner)
    with pytest.raises(ValueError, match="different names, got toy, toy"):
        service.start(lambda model: ())


def test_every_type_of_problem_is_explained() -> None:
    readme = Path(__file__).parents[3].joinpath("server", "README.md").read_text(encoding="utf-8")
    explained = set(re.findall(r"^### ([a-z-]+)$", readme, flags=re.MULTILINE))
    assert explained == {kind.slug for kind in all_kinds()}
