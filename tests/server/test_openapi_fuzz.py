"""Requests made from the server's own description, valid ones and broken ones, thousands of them."""

import os
from collections import Counter
from collections.abc import Iterator
from itertools import chain, count
from typing import Any

import pytest
import schemathesis
from schemathesis.engine import events, from_schema
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from planner.build import ReadyPlanner, load_ready
from server.app import create_app
from server.service import ModelService
from server.settings import Settings

COUNT = int(os.environ.get("WAYMARK_FUZZ_REQUESTS", "2000"))
"""Requests at least; ``make fuzz`` sends more."""

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
)


class Counted:
    """Passes requests on and counts the replies by status."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.replies: Counter[int] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await no_lifespan(receive, send)
        others = [(name, value) for name, value in scope["headers"] if name != b"host"]

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.replies[message["status"]] += 1
            await send(message)

        await self.app(scope | {"headers": [(b"host", b"localhost"), *others]}, receive, counted)


async def no_lifespan(receive: Receive, send: Send) -> None:
    """The service runs already."""
    while True:
        event = (await receive())["type"]
        await send({"type": f"{event}.complete"})
        if event == "lifespan.shutdown":
            return


@pytest.fixture
def service(ready_planner: ReadyPlanner, world_folders: Any, eventually: Any) -> Iterator[ModelService]:
    """A planner and world models that are so small that many requests can be tried."""
    models = {"toy": ready_planner} | {name: load_ready(str(path)) for name, path in world_folders.items()}
    # Work that takes longer is cut short.
    settings = Settings(models=tuple(models), max_deadline_ms=100)
    service = ModelService(settings, lambda name, device: models[name])
    service.start()
    eventually(lambda: service.unready() is None)
    yield service
    service.close()


def findings(app: ASGIApp, seed: int) -> Iterator[str]:
    """What is wrong, in all phases: examples, every limit of every field, random requests, sequences."""
    checks = {name: {"enabled": True} for name in CHECKS} | {
        # A server that is busy or out of time says so.
        "not_a_server_error": {"expected-statuses": ["2xx", "3xx", "4xx", "503"]},
    }
    settings = {
        "seed": seed,
        "continue-on-failure": True,
        "checks": {"enabled": False} | checks,
        "generation": {"mode": "all", "max-examples": COUNT // 40, "database": "none"},
    }
    config = schemathesis.Config.from_dict(settings)
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, config=config)
    for event in from_schema(schema).execute():
        if isinstance(event, events.NonFatalError | events.FatalError):
            yield str(event)
        elif isinstance(event, events.ScenarioFinished):
            for check in chain.from_iterable(event.recorder.checks.values()):
                if (info := check.failure_info) is not None:
                    yield f"{event.label}: {check.name}: {info.failure.message} {info.code_sample}"[:2000]


@pytest.mark.timeout(3600)
def test_the_description_holds(service: ModelService) -> None:
    app = Counted(create_app(service.settings, service))
    for seed in count():
        found = list(findings(app, seed))
        assert not found, "\n\n".join([f"{len(found)} findings", *found[:20]])
        if app.replies.total() >= COUNT:
            break
    assert app.replies[200] > COUNT / 20 and app.replies[422] > COUNT / 20
    assert app.replies[503] < COUNT / 10
