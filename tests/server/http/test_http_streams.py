"""Plans while they are made: as events, to be asked for later, cancelled, and never made twice."""

import base64
import json
import threading
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient

from server.http.pictures import from_base64
from server.models.service import ModelService

STREAM = {"Accept": "text/event-stream"}
ASYNC = {"Prefer": "respond-async"}


def events(text: str) -> list[tuple[str, dict[str, Any]]]:
    """Names and data of server-sent events; comments are left out."""
    blocks = [block.split("\n") for block in text.split("\n\n") if block and not block.startswith(":")]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in blocks]


def proper(plan: dict[str, Any]) -> dict[str, Any]:
    """A plan without what differs every time."""
    return {name: value for name, value in plan.items() if name not in ("request_id", "timings")}


def begun(http: TestClient, body: dict[str, Any], **headers: str) -> str:
    """Where a plan can be asked for."""
    reply = http.post("/v1/plans", json=body, headers=ASYNC | headers)
    assert reply.status_code == 202 and reply.headers["Preference-Applied"] == "respond-async"
    assert reply.headers["Location"] == f"/v1/plans/{reply.json()['id']}"
    return str(reply.headers["Location"])


@pytest.fixture
def ended(eventually: Callable[..., None]) -> Callable[[TestClient, str], dict[str, Any]]:
    """``ended(http, place)``: how a plan stands when it no longer runs."""

    def wait(http: TestClient, place: str) -> dict[str, Any]:
        eventually(lambda: http.get(place).json()["status"] not in ("queued", "running"))
        return http.get(place).json()

    return wait


def test_a_stream_tells_of_every_iteration_and_ends_with_the_same_plan(
    http: TestClient, body: dict[str, Any]
) -> None:
    plain = http.post("/v1/plans", json=body).json()
    reply = http.post("/v1/plans", json=body, headers=STREAM)
    assert reply.status_code == 200 and reply.headers["Content-Type"].startswith("text/event-stream")
    told = events(reply.text)
    assert [name for name, _ in told] == ["queued", *["iteration", *["subgoal"] * 6] * 3, "result"]
    assert told[0][1]["request_id"] == reply.headers["X-Request-Id"]
    iterations = [data for name, data in told if name == "iteration"]
    assert [data["iteration"] for data in iterations] == [1, 2, 3]
    assert [data["best_cost"] for data in iterations] == plain["cost_history"]
    assert iterations[0]["elite_std"] > iterations[-1]["elite_std"] > 0
    assert iterations[0]["mean_cost"] > iterations[0]["best_cost"]
    assert 0 < iterations[0]["elapsed_ms"] < iterations[-1]["elapsed_ms"]
    subgoals = [data for name, data in told if name == "subgoal"]
    assert [data["index"] for data in subgoals] == [*range(6)] * 3
    assert from_base64(subgoals[0]["image"]).shape == (64, 64, 3)
    assert proper(told[-1][1]) == proper(plain)


def test_a_stream_ends_with_the_error_that_a_reply_would_have_been(
    http: TestClient, body: dict[str, Any], empty_table: str
) -> None:
    reply = http.post("/v1/plans", json=body | {"goal": empty_table}, headers=STREAM)
    (*_, (name, problem)) = events(reply.text)
    assert (name, problem["type"], problem["status"]) == ("error", "urn:waymark:problem:no-object", 422)
    # What is wrong before the work begins is an ordinary problem.
    refused = http.post("/v1/plans", json=body | {"seed": -1}, headers=STREAM)
    assert refused.status_code == 422 and refused.headers["Content-Type"] == "application/problem+json"


def test_a_plan_can_be_asked_for_later(
    http: TestClient, body: dict[str, Any], gated: Any, ended: Callable[..., Any]
) -> None:
    gated.gate.clear()
    place = begun(http, body)
    waiting = http.get(place)
    assert waiting.json()["status"] in ("queued", "running") and waiting.json()["result"] is None
    assert waiting.headers["Retry-After"] == "1"
    gated.gate.set()
    status = ended(http, place)
    plain = http.post("/v1/plans", json=body).json()
    assert status["status"] == "done" and status["problem"] is None
    assert proper(status["result"]) == proper(plain)
    assert http.get(f"/v1/plans/{status['result']['id']}").json()["result"]["digest"] == plain["digest"]
    done = http.get(place)
    unchanged = http.get(place, headers={"If-None-Match": done.headers["ETag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")


def test_a_plan_that_fails_says_why(
    http: TestClient, body: dict[str, Any], empty_table: str, ended: Callable[..., Any]
) -> None:
    status = ended(http, begun(http, body | {"goal": empty_table}))
    assert (status["status"], status["problem"]["type"]) == ("failed", "urn:waymark:problem:no-object")


def test_a_plan_is_cancelled_for_all_and_as_often_as_one_likes(
    http: TestClient,
    body: dict[str, Any],
    gated: Any,
    ended: Callable[..., Any],
    eventually: Callable[..., None],
) -> None:
    gated.gate.clear()
    place = begun(http, body, **{"Idempotency-Key": "mine"})
    replies: list[Any] = []
    watcher = threading.Thread(target=lambda: replies.append(http.get(place, headers=STREAM)))
    watcher.start()
    eventually(lambda: gated.plans == 1)
    for _ in range(2):
        assert http.delete(place).status_code == 204
    gated.gate.set()
    status = ended(http, place)
    assert (status["status"], status["problem"]["type"]) == ("cancelled", "urn:waymark:problem:cancelled")
    watcher.join(20)
    assert events(replies[0].text)[-1][0] == "error"
    assert gated.plans == 1


def test_unknown_plans(http: TestClient, body: dict[str, Any]) -> None:
    for reply in (http.get("/v1/plans/none"), http.delete("/v1/plans/none")):
        assert (reply.status_code, reply.json()["type"]) == (404, "urn:waymark:problem:unknown-plan")


def test_a_repeated_key_brings_the_first_plan(http: TestClient, body: dict[str, Any], gated: Any) -> None:
    seedless = {name: value for name, value in body.items() if name != "seed"}
    key = {"Idempotency-Key": "a-1"}
    first, second = (http.post("/v1/plans", json=seedless, headers=key) for _ in range(2))
    assert first.content == second.content and gated.plans == 1
    assert http.post("/v1/plans", json=seedless).json()["digest"] != first.json()["digest"]
    other = http.post("/v1/plans", json=body, headers=key)
    assert (other.status_code, other.json()["type"]) == (422, "urn:waymark:problem:idempotency-conflict")
    long = http.post("/v1/plans", json=body, headers={"Idempotency-Key": "k" * 256})
    assert (long.status_code, long.json()["errors"][0]["field"]) == (422, "Idempotency-Key")


def test_what_came_to_nothing_is_tried_again(
    http: TestClient, body: dict[str, Any], gated: Any, eventually: Callable[..., None]
) -> None:
    gated.gate.clear()
    key = {"Idempotency-Key": "a-2"}
    place = begun(http, body, **key)
    eventually(lambda: gated.plans == 1)
    http.delete(place)
    gated.gate.set()
    assert http.post("/v1/plans", json=body, headers=key).status_code == 200 and gated.plans == 2


def test_a_plan_goes_on_while_one_of_two_still_waits(
    url: str, body: dict[str, Any], gated: Any, asked: Callable[..., Any], eventually: Callable[..., None]
) -> None:
    gated.gate.clear()
    before = gated.plans
    key = {"Idempotency-Key": "both"}
    replies: list[Any] = []
    stays = threading.Thread(
        target=lambda: replies.append(httpx2.post(f"{url}/v1/plans", json=body, headers=key, timeout=20))
    )
    stays.start()
    eventually(lambda: gated.plans == before + 1)
    with asked(url, body, **key):
        pass
    left = 'waymark_http_client_disconnects_total{route="/v1/plans"} 1.0'
    eventually(lambda: left in httpx2.get(f"{url}/metrics", timeout=20).text)
    gated.gate.set()
    stays.join(20)
    assert replies[0].json()["iterations_run"] == 3


def test_work_stops_when_who_watches_leaves(
    url: str, body: dict[str, Any], gated: Any, service: ModelService, eventually: Callable[..., None]
) -> None:
    gated.rest_seconds = 0.3
    long = body | {"samples": 20, "iterations": 200}
    with httpx2.stream("POST", f"{url}/v1/plans", json=long, headers=STREAM, timeout=20) as reply:
        for line in reply.iter_lines():
            if line == "event: iteration":
                break
    # Two hundred iterations would rest for a minute; the engine is free long before.
    eventually(lambda: service.engine.unfinished == 0)


def test_concurrent_requests_bring_the_bytes_of_each_alone(
    http: TestClient,
    make_service: Callable[..., ModelService],
    serve: Callable[..., Any],
    body: dict[str, Any],
) -> None:
    requests = [body | {"seed": seed, "samples": 20 + seed % 3} for seed in range(12)]
    alone = [http.post("/v1/plans", json=request).json()["digest"] for request in requests]
    with serve(make_service(queue_size=20)) as url:
        together: dict[int, str] = {}

        def ask(index: int) -> None:
            reply = httpx2.post(f"{url}/v1/plans", json=requests[index], timeout=60)
            together[index] = reply.json()["digest"]

        threads = [threading.Thread(target=ask, args=(index,)) for index in range(len(requests))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert [together[index] for index in range(len(requests))] == alone


def test_requests_at_the_same_time_with_one_key_are_one(url: str, body: dict[str, Any], gated: Any) -> None:
    seedless = {name: value for name, value in body.items() if name != "seed"}
    digests: list[str] = []

    def ask() -> None:
        reply = httpx2.post(f"{url}/v1/plans", json=seedless, headers={"Idempotency-Key": "one"}, timeout=20)
        digests.append(reply.json()["digest"])

    before = gated.plans
    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(digests) == 6 and len(set(digests)) == 1 and gated.plans == before + 1


def test_a_form_and_json_with_one_key_are_the_same_request(
    http: TestClient, body: dict[str, Any], gated: Any
) -> None:
    key = {"Idempotency-Key": "travels"}
    first = http.post("/v1/plans", json=body, headers=key)
    files = {name: (name, base64.b64decode(body[name]), "image/png") for name in ("start", "goal")}
    second = http.post("/v1/plans", files=files, data={"request": '{"seed": 7}'}, headers=key)
    assert first.content == second.content and gated.plans == 1


def test_a_search_of_thousands_of_iterations_remembers_them_all(
    http: TestClient, body: dict[str, Any]
) -> None:
    plan = http.post("/v1/plans", json=body | {"samples": 2, "iterations": 300}).json()
    assert len(plan["cost_history"]) == plan["iterations_run"] == 300
    finite = [cost for cost in plan["cost_history"] if cost is not None]
    assert finite == sorted(finite, reverse=True) and plan["cost"] >= finite[-1]
