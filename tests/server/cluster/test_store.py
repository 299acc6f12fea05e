"""What replicas know of each other's plans: the store alone, and two services that share one, without Ray."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from stand_ins import GatedPlanner

from server.app import create_app
from server.cluster import store as store_module
from server.cluster.plans import SharedMemory
from server.cluster.store import CONFLICT, PlanStore
from server.keys import ANONYMOUS
from server.models.service import ModelService

pytestmark = pytest.mark.anyio

LATER = {"Prefer": "respond-async"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class LoopStore:
    """A store in a loop of its own, where Ray has a process."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.store = PlanStore(256, 900.0)

    async def ask(self, method: str, *arguments: Any) -> Any:
        return await asyncio.wrap_future(self._begin(method, arguments))

    def ask_now(self, method: str, *arguments: Any) -> Any:
        return self._begin(method, arguments).result(20)

    def _begin(self, method: str, arguments: tuple[Any, ...]) -> Any:
        return asyncio.run_coroutine_threadsafe(getattr(self.store, method)(*arguments), self.loop)


@pytest.fixture
def shared() -> Iterator[LoopStore]:
    shared = LoopStore()
    thread = threading.Thread(target=shared.loop.run_forever)
    thread.start()
    yield shared
    shared.loop.call_soon_threadsafe(shared.loop.stop)
    thread.join(20)
    shared.loop.close()


@pytest.fixture
def replicas(
    shared: LoopStore, make_service: Callable[..., ModelService], gated: GatedPlanner, eventually: Callable
) -> Iterator[tuple[TestClient, TestClient]]:
    """Two services with the same model; a gate keeps both from planning."""
    services = [make_service() for _ in range(2)]
    apps = [create_app(one.settings, one, plans=SharedMemory(shared)) for one in services]
    with (
        TestClient(apps[0], base_url="http://localhost") as first,
        TestClient(apps[1], base_url="http://localhost") as second,
    ):
        for client in (first, second):
            eventually(lambda client=client: client.get("/readyz").status_code == 200)
        gated.plans = 0
        yield first, second
        gated.gate.set()


def test_a_plan_is_found_whichever_replica_is_asked(
    replicas: tuple[TestClient, TestClient],
    body: dict[str, Any],
    gated: GatedPlanner,
    eventually: Callable[..., None],
) -> None:
    first, second = replicas
    gated.gate.clear()
    place = first.post("/v1/plans", json=body, headers=LATER).headers["location"]
    assert second.get(place).json() | {"id": ""} == {
        "id": "",
        "status": "running",
        "result": None,
        "problem": None,
    }
    gated.gate.set()
    eventually(lambda: second.get(place).json()["status"] == "done")
    here, there = first.get(place), second.get(place)
    assert here.content == there.content and here.headers["etag"] == there.headers["etag"]
    plan = there.json()["result"]["id"]
    assert second.get(f"/v1/plans/{plan}").content == there.content
    with second.stream("GET", place, headers={"Accept": "text/event-stream"}) as stream:
        assert stream.read().startswith(b"event: result\n")


def test_what_is_kept_of_a_plan_serves_others(
    replicas: tuple[TestClient, TestClient], body: dict[str, Any]
) -> None:
    plan = replicas[0].post("/v1/plans", json=body).json()["id"]
    plans = [client.app.state.plans.of(ANONYMOUS) for client in replicas]  # type: ignore[attr-defined]
    assert (plans[0].subgoals(plan) == plans[1].subgoals(plan)).all()
    assert plans[0].calibration(plan) == plans[1].calibration(plan)
    assert plans[0].path(plan) == plans[1].path(plan)


def test_another_replica_cancels_the_work(
    replicas: tuple[TestClient, TestClient],
    body: dict[str, Any],
    gated: GatedPlanner,
    eventually: Callable[..., None],
) -> None:
    first, second = replicas
    gated.rest_seconds = 0.2
    place = first.post("/v1/plans", json=body | {"iterations": 100}, headers=LATER).headers["location"]
    assert second.delete(place).status_code == 204
    eventually(lambda: second.get(place).json()["status"] == "cancelled")
    assert first.get(place).json()["problem"]["type"] == "urn:waymark:problem:cancelled"
    for client in replicas:
        assert client.delete("/v1/plans/nobody").status_code == 404
        assert client.get("/v1/plans/nobody").status_code == 404


def test_a_key_makes_one_plan_of_all_replicas(
    replicas: tuple[TestClient, TestClient],
    body: dict[str, Any],
    gated: GatedPlanner,
    eventually: Callable[..., None],
) -> None:
    first, second = replicas
    del body["seed"]
    key = {"Idempotency-Key": "one"}
    gated.gate.clear()
    place = first.post("/v1/plans", json=body, headers=key | LATER).headers["location"]
    assert second.post("/v1/plans", json=body, headers=key | LATER).headers["location"] == place
    assert second.post("/v1/plans", json=body | {"seed": 8}, headers=key).status_code == 422
    gated.gate.set()
    again = second.post("/v1/plans", json=body, headers=key)
    assert again.status_code == 200
    assert again.json() == first.get(place).json()["result"]


async def test_a_plan_of_a_replica_that_has_ended_is_lost_and_may_be_made_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = PlanStore(256, 900.0)
    monkeypatch.setattr(store_module, "GRACE_SECONDS", 0.0)
    assert await store.begin("me", "a", "key", "body", 0.05) is None
    assert await store.begin("me", "a", "key", "body", 0.05) is None, "Ray may ask twice"
    assert await store.begin("me", "b", "key", "body", 60.0) == "a"
    assert await store.begin("me", "b", "key", "other", 60.0) == CONFLICT
    assert await store.told("me", "a", 0.0) == ("a", None, False)
    assert await store.told("somebody", "a", 0.0) is None
    deadline = time.monotonic() + 20
    while await store.told("me", "a", 0.01) != ("a", None, True):
        assert time.monotonic() < deadline
    assert await store.begin("me", "b", "key", "body", 60.0) is None


async def test_the_store_forgets_what_is_too_much_but_nothing_that_runs() -> None:
    store = PlanStore(2, 900.0)
    await store.begin("me", "runs", None, "", 60.0)
    for name in ("a", "b", "c"):
        await store.begin("me", name, None, "", 60.0)
        await store.finish("me", name, "{}", False)
        await store.keep("me", name, name, name)
    assert [await store.told("me", name, 0.0) for name in ("runs", "a", "b", "c")] == [
        ("runs", None, False),
        None,
        None,
        ("c", "{}", False),
    ]
    assert [await store.made("me", name) for name in ("a", "b", "c")] == [None, "b", "c"]


async def test_a_store_that_was_started_anew_learns_how_plans_end() -> None:
    store = PlanStore(2, 900.0)
    assert not await store.until_cancelled("me", "a")
    await store.finish("me", "a", "{}", False)
    assert await store.told("me", "a", 0.0) == ("a", "{}", False)
