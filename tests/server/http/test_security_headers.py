"""What every reply tells a browser not to do with it."""

from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.responses import Response

from server.http.middleware import SafeHeaders


def assert_safe(reply: Any) -> None:
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert reply.headers["Referrer-Policy"] == "no-referrer"
    assert reply.headers["X-Request-Id"]
    policy = reply.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'") and "frame-ancestors 'none'" in policy
    assert reply.headers["Cache-Control"] == "no-store"
    assert "Server" not in reply.headers


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/livez", {}, 200),
        ("GET", "/openapi.json", {}, 200),
        ("GET", "/v1/models", {}, 200),
        ("GET", "/nowhere", {}, 404),
        ("PUT", "/v1/plans", {}, 405),
        ("POST", "/v1/plans", {}, 415),
        ("POST", "/v1/plans", {"Content-Type": "application/json"}, 422),
        ("POST", "/v1/plans", {"Content-Length": "99999999"}, 413),
        ("POST", "/v1/plans", {"Sec-Fetch-Site": "cross-site"}, 403),
        ("GET", "/livez", {"Host": "attacker.example"}, 421),
    ],
)
def test_every_reply_of_the_interface(
    http: TestClient, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    reply = http.request(method, path, headers=headers)
    assert reply.status_code == status
    assert_safe(reply)
    assert len(reply.headers.get_list("Content-Security-Policy")) == 1
    if status == 405:
        assert reply.headers["Allow"] == "POST"


def test_plans_and_failures(
    http: TestClient, body: dict[str, Any], gated: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_safe(http.post("/v1/plans", json=body))
    monkeypatch.setattr(http.app.state.service, "choose", lambda *args: 1 / 0)
    reply = http.post("/v1/plans", json=body)
    assert reply.status_code == 500
    assert_safe(reply)


def test_the_page_loads_its_own_files_only() -> None:
    app = FastAPI()
    app.add_middleware(SafeHeaders)
    app.add_api_route("/", lambda: "page")
    app.add_api_route("/web/app.js", lambda: Response("", headers={"Cache-Control": "max-age=60"}))
    for path in ("/", "/web/app.js"):
        headers = TestClient(app).get(path).headers
        policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
        assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers.get("Cache-Control") == ("max-age=60" if path != "/" else None)
