"""The application: everything it needs is handed in, nothing happens on import."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from fastapi import FastAPI

from server.actions.resource import ACTIONS
from server.catalogue.resource import CATALOGUE
from server.docs import routes as docs
from server.episodes.resource import EPISODES
from server.health.resource import HEALTH
from server.http import page, problems
from server.http.auth import Gate
from server.http.metrics import HttpMetrics, Metrics
from server.http.middleware import BodyLimit, Methods, RequestId, RootPath, SafeHeaders
from server.http.openapi import describe
from server.http.resource import Resource, small_tasks
from server.keys import read_keys
from server.models.service import ModelService
from server.plans.memory import PlanMemory
from server.plans.resource import PLANS
from server.predictions.resource import PREDICTIONS
from server.scenes.resource import SCENES
from server.settings import Settings

RESOURCES: tuple[Resource, ...] = (PLANS, PREDICTIONS, ACTIONS, SCENES, EPISODES, HEALTH, CATALOGUE)
"""All that can be asked of this server."""

_DESCRIPTION = (
    "Two pictures in, a plan out: post a picture of now and a picture of the goal, get the pictures on "
    "the way, when each is reached and where the object is. Frames and actions in, the future out: the "
    "rewards that actions bring, keypoints, predicted pictures, or the next action toward a subgoal. "
    "Errors are `application/problem+json` (RFC 9457)."
)


def create_app(
    settings: Settings,
    service: ModelService,
    metrics: Metrics | None = None,
    resources: Sequence[Resource] = RESOURCES,
    plans: PlanMemory | None = None,
) -> FastAPI:
    """The HTTP service around ``service``, which starts and ends with the application's lifespan.

    ``metrics`` are those that the engine of ``service`` tells; without them, HTTP alone is counted.
    ``resources`` are all that can be asked for, ``plans`` is what replicas of the service share.

    Raises:
        KeysError: the keys file of the settings cannot be used.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(service.start, partial(small_tasks, resources))
        # It takes a tenth of a second, in which the first one to ask would keep all others waiting.
        await asyncio.to_thread(openapi)
        yield
        await asyncio.to_thread(service.close)

    app = FastAPI(
        title="Waymark",
        version="1",
        description=_DESCRIPTION,
        lifespan=lifespan,
        # The usual documentation pages load their scripts from elsewhere; server.docs has one.
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
        redirect_slashes=False,
    )
    app.state.service = service
    app.state.metrics = metrics = metrics or Metrics()
    metrics.watch(service)
    app.state.plans = plans or PlanMemory()
    app.state.resources = tuple(resources)
    for resource in resources:
        app.include_router(resource.router)
    app.include_router(page.router)
    app.include_router(docs.router)
    problems.install(app)
    _surround(app, settings, metrics, resources)

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = describe(app, service, resources)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend it
    return app


def _surround(app: FastAPI, settings: Settings, metrics: Metrics, resources: Sequence[Resource]) -> None:
    """What every request passes. The last one added is the outermost: a refused body has a request id too."""
    app.add_middleware(BodyLimit, limit=settings.max_body_bytes)
    app.add_middleware(
        Gate,
        keys=None if settings.keys_file is None else read_keys(settings.keys_file),
        open_paths=frozenset[str]().union(*(resource.open_paths for resource in resources)),
    )
    app.add_middleware(Methods)
    app.add_middleware(RootPath, root_path=settings.root_path)
    app.add_middleware(SafeHeaders)
    app.add_middleware(RequestId)
    app.add_middleware(HttpMetrics, metrics=metrics)
