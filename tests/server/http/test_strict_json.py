"""Values that are no JSON or too much of it, in every place of every body: 422, never a failure inside."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

MARK = "@here@"
NEVER = {
    "nan": "NaN",
    "infinite": "Infinity",
    "minus infinite": "-Infinity",
    "too large": "1e999",
    "minus too large": "-1e999",
    "endless": "9" * 5000,
    "half a character": '"\\ud800"',
    "control character": '"\x01"',
    "deep list": "[" * 50_000 + "]" * 50_000,
    "deep object": '{"a":' * 5000 + "1" + "}" * 5000,
    "comment": "1 /* one */",
    "octal": "017",
    "hexadecimal": "0x11",
    "plus": "+1",
    "dot": "1.",
    "comma": ",",
    "undefined": "undefined",
    "single quotes": "'a'",
}


def examples(client: TestClient) -> dict[str, Any]:
    """Valid bodies by path, from the server's own description; none for what no model here can answer."""
    paths = client.get("/openapi.json").json()["paths"]
    bodies = {
        path: methods["post"].get("requestBody", {}).get("content", {}).get("application/json")
        for path, methods in paths.items()
        if "post" in methods
    }
    return {path: body.get("example") for path, body in bodies.items() if body is not None}


def places(value: Any) -> Iterator[Any]:
    """Copies of a JSON value with the mark in place of one part each; of lists the first item only."""
    yield MARK
    parts = value.items() if isinstance(value, dict) else [(0, value[0])] if isinstance(value, list) else []
    for key, part in parts:
        for marked in places(part):
            yield value | {key: marked} if isinstance(value, dict) else [marked, *value[1:]]


@pytest.mark.parametrize("client", ["http", "world_http"])
def test_every_place_of_every_body(client: str, request: pytest.FixtureRequest) -> None:
    http: TestClient = request.getfixturevalue(client)
    tried = 0
    for path, example in examples(http).items():
        for body in places(example) if example else [MARK, {"seed": MARK}, {"model": MARK}, {"more": MARK}]:
            for name, token in NEVER.items():
                text = json.dumps(body).replace(f'"{MARK}"', token)
                reply = http.post(path, content=text, headers={"Content-Type": "application/json"})
                assert reply.status_code == 422, (path, name, str(body)[:200], reply.text[:300])
                assert reply.json()["type"] == "urn:waymark:problem:invalid-request"
                assert len(reply.content) < 4000
                tried += 1
    assert tried > 300
    assert http.get("/livez").status_code == 200


@pytest.mark.parametrize("client", ["http", "world_http"])
def test_examples_are_answered_and_the_last_of_a_repeated_key_counts(
    client: str, request: pytest.FixtureRequest
) -> None:
    http: TestClient = request.getfixturevalue(client)
    for path, example in examples(http).items():
        if example:
            text = '{"deadline_ms": 0, ' + json.dumps(example | {"deadline_ms": 10_000})[1:]
            reply = http.post(path, content=text, headers={"Content-Type": "application/json"})
            assert reply.status_code == 200, (path, reply.text)
