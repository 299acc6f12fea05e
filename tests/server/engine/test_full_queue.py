"""What nobody has time for is refused before it is read; what is there already is not."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi.testclient import TestClient

from server.models.service import ModelService

FULL = (503, "urn:waymark:problem:queue-full")


@pytest.fixture
def service(make_service: Callable[..., ModelService]) -> ModelService:
    return make_service(queue_size=1)


@pytest.fixture
def full(
    http: TestClient, gated: Any, body: dict[str, Any], eventually: Callable[..., None]
) -> Iterator[TestClient]:
    """A plan is being made, one waits, and one is there already under the key ``done``."""
    assert http.post("/v1/plans", json=body, headers={"Idempotency-Key": "done"}).status_code == 200
    gated.gate.clear()
    with ThreadPoolExecutor() as pool:
        waiting = [pool.submit(http.post, "/v1/plans", json=body | {"seed": seed}) for seed in (1, 2)]
        eventually(lambda: http.app.state.service.engine.unfinished == 2)
        yield http
        gated.gate.set()
        assert [reply.result(20).status_code for reply in waiting] == [200, 200]


@pytest.mark.parametrize("path", ["/v1/plans", "/v1/actions", "/v1/rewards", "/v1/predictions"])
def test_refused_unread(full: TestClient, path: str) -> None:
    reply = full.post(path, content=b"no JSON", headers={"Content-Type": "application/json"})
    assert (reply.status_code, reply.json()["type"]) == FULL
    assert int(reply.headers["Retry-After"]) >= 1


def test_a_plan_that_is_there_is_still_had(full: TestClient, body: dict[str, Any]) -> None:
    assert full.post("/v1/plans", json=body, headers={"Idempotency-Key": "done"}).status_code == 200
    reply = full.post("/v1/plans", json=body, headers={"Idempotency-Key": "new"})
    assert (reply.status_code, reply.json()["type"]) == FULL


def test_a_full_queue_does_not_hide_how_the_server_is(full: TestClient) -> None:
    assert full.get("/livez").status_code == full.get("/readyz").status_code == 200
