"""Requests made from the server's own description, valid ones and broken ones, thousands of them."""

import os
from collections import Counter
from collections.abc import Iterator
from functools import partial
from itertools import chain, count
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI, Response
from schemathesis import Case, HookContext
from schemathesis.engine import events, from_schema
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from planner.loaded import ReadyPlanner
from planner.loading import load_ready
from server.app import RESOURCES, create_app
from server.http.resource import small_tasks
from server.models.service import ModelService
from server.settings import Settings

COUNT = int(os.environ.get("WAYMARK_FUZZ_REQUESTS", "2000"))
"""Requests at least; ``make fuzz`` sends more."""
LONGEST_MS = 60_000
"""The longest deadline that a request may have."""


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
def service(
    ready_planner: ReadyPlanner, world_folders: Any, video_folders: Any, eventually: Any
) -> Iterator[ModelService]:
    """A planner and world models that are so small that many requests can be tried."""
    folders = world_folders | video_folders
    models = {"toy": ready_planner} | {name: load_ready(str(path)) for name, path in folders.items()}
    settings = Settings(models=tuple(models))
    service = ModelService(settings, lambda name, device: models[name])
    service.start(partial(small_tasks, RESOURCES))
    eventually(lambda: service.unready() is None)
    yield service
    service.close()


def findings(app: ASGIApp, seed: int) -> Iterator[str]:
    """What is wrong, in all phases: examples, every limit of every field, random requests, sequences."""
    settings = {
        "seed": seed,
        "continue-on-failure": True,
        # All but one: a valid request may still name a model or an environment that there is not.
        "checks": {"positive_data_acceptance": {"enabled": False}},
        # As many as one pass needs to reach COUNT: its first phases are long, however few examples follow.
        "generation": {"mode": "all", "max-examples": COUNT // 55, "database": "none"},
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


@schemathesis.hook
def before_call(context: HookContext, case: Case, kwargs: dict[str, Any]) -> None:
    """Leaves a busy machine time for an answer: who allows a millisecond is rightly told 503."""
    body: Any = case.body
    for options in (body, body.get("request") if isinstance(body, dict) else None):
        asked = options.get("deadline_ms") if isinstance(options, dict) else None
        if type(asked) is int and 0 < asked < LONGEST_MS:
            options["deadline_ms"] = LONGEST_MS


# Checks of shapes draw from `random` in the engine's thread, which Hypothesis takes for a strategy's doing.
@pytest.mark.usefixtures("unchecked")
@pytest.mark.timeout(3600)
def test_the_description_holds(service: ModelService, monkeypatch: pytest.MonkeyPatch) -> None:
    # Long episodes do the same again and again.
    monkeypatch.setattr("server.episodes.requests.most_steps", lambda name: 10)
    app = Counted(create_app(service.settings, service))
    for seed in count():
        found = list(findings(app, seed))
        assert not found, "\n\n".join([f"{len(found)} findings", *found[:20]])
        if app.replies.total() >= COUNT:
            break
    assert app.replies[200] > COUNT / 20 and app.replies[422] > COUNT / 20
    assert max(app.replies) < 500


def test_a_server_error_is_a_finding() -> None:
    app = FastAPI()
    app.get("/busy", responses={503: {}})(lambda: Response(status_code=503))
    assert any("not_a_server_error" in finding for finding in findings(app, 0))
