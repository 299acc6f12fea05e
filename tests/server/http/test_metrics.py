"""What Prometheus is told: routes by template, the engine's work, models; nothing made up by requests."""

from collections.abc import Callable
from typing import Any

import anyio
import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from planner.loaded import ReadyPlanner
from server.app import create_app
from server.http.metrics import HttpMetrics, Metrics
from server.models.service import ModelService
from server.settings import Settings

Figures = dict[tuple[str, ...], float]


def figures(text: str, name: str) -> Figures:
    """Samples of that name by the values of their labels, in the order of the labels' names."""
    return {
        tuple(value for _, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def service(ready_planner: ReadyPlanner, metrics: Metrics) -> ModelService:
    return ModelService(Settings(models=("toy",)), lambda name, device: ready_planner, metrics)


@pytest.fixture
def http(service: ModelService, metrics: Metrics, eventually: Callable[..., None]) -> Any:
    app = create_app(service.settings, service, metrics)
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as client:
        eventually(lambda: service.unready() is None)
        yield client


def test_requests_are_counted_by_template(http: TestClient, body: dict[str, Any]) -> None:
    http.get("/v1/models")
    http.get("/v1/plans")
    http.post("/v1/plans", json=body | {"samples": 0})
    for path in ("/nowhere", "/v2/models/secret-name", "/v2/models/toy"):
        http.get(path)
    http.request("BREW", "/v1/models")
    text = http.get("/metrics").text
    found = figures(text, "waymark_http_requests_total")  # code, method, route
    assert found["200", "GET", "/v1/models"] == 1
    assert found["405", "GET", "/v1/plans"] == 1 and found["422", "POST", "/v1/plans"] == 1
    assert found["404", "GET", "none"] == 1
    assert found["404", "GET", "/v2/models/{name}"] == 1 == found["200", "GET", "/v2/models/{name}"]
    assert found["405", "other", "/v1/models"] == 1
    assert "nowhere" not in text and "secret" not in text and "BREW" not in text
    counts = figures(text, "waymark_http_request_duration_seconds_count")
    assert counts["GET", "/v2/models/{name}"] == 2
    assert not figures(text, "waymark_http_client_disconnects_total")


def test_the_engines_work_is_told(http: TestClient, body: dict[str, Any]) -> None:
    assert http.post("/v1/plans", json=body).status_code == 200
    reply = http.get("/metrics")
    assert reply.headers["Content-Type"].startswith("text/plain; version=")
    jobs = figures(reply.text, "waymark_jobs_total")  # kind, outcome, who
    assert jobs["plan", "ok", "toy"] == 1 == jobs["warm-up", "ok", "all"]
    for what in ("queue", "compute"):
        assert figures(reply.text, f"waymark_job_{what}_seconds_count")["plan", "toy"] == 1
    batches = figures(reply.text, "waymark_engine_batch_rows_count")[()]
    assert batches == figures(reply.text, "waymark_engine_batch_fill_ratio_count")[()] > 0
    assert 0 < figures(reply.text, "waymark_engine_batch_fill_ratio_sum")[()] <= batches
    assert figures(reply.text, "waymark_engine_up")[()] == 1 == figures(reply.text, "waymark_ready")[()]
    assert figures(reply.text, "waymark_engine_jobs")[()] == 0
    assert list(figures(reply.text, "waymark_model_info")) == [("toy", "ab" * 32, "1")]
    assert figures(reply.text, "process_open_fds")


def test_refusals_have_reasons(http: TestClient, service: ModelService, body: dict[str, Any]) -> None:
    service.drain()
    assert http.post("/v1/plans", json=body).status_code == 503
    text = http.get("/metrics").text
    assert figures(text, "waymark_jobs_refused_total") == {("plan", "shutting-down"): 1}
    assert figures(text, "waymark_ready")[()] == 0


def test_clients_that_leave_are_counted(metrics: Metrics) -> None:
    async def waits_in_vain(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    async def waits_after_the_reply(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        await waits_in_vain(scope, receive, send)

    messages = iter([{"type": "http.request"}, {"type": "http.disconnect"}] * 2)

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        pass

    for app in (waits_in_vain, waits_after_the_reply):
        anyio.run(HttpMetrics(app, metrics), {"type": "http", "method": "GET"}, receive, send)
    found = figures(metrics.text().decode(), "waymark_http_client_disconnects_total")
    assert found == {("none",): 1}


def test_an_engine_that_has_failed_is_told(http: TestClient, service: ModelService) -> None:
    assert http.get("/livez").status_code == 200
    service.engine.failed = True
    for path in ("/livez", "/v2/health/live", "/readyz"):
        assert http.get(path).json()["type"] == "urn:waymark:problem:not-ready"
