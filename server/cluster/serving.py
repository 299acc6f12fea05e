"""``python -m server --ray``: the application under Ray Serve, which starts and watches its replicas."""

import os
import signal
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import FrameType
from typing import Any

from fastapi import FastAPI

from planner.loading import load_ready
from server.app import create_app
from server.cluster.plans import SharedMemory
from server.cluster.store import PlanStore
from server.hosts import check_address
from server.http.metrics import Metrics
from server.models.service import ModelService
from server.plans.memory import CAPACITY, KEPT_SECONDS
from server.settings import Settings
from world_models.jobs.cluster import connect
from world_models.jobs.command import Failure, Terminated

NAME = "waymark"
"""Of the application, and of the namespace in which the plans that replicas share are found."""
AT_WORK = 2
"""Requests that a replica is to have at a time: one at work, one that waits. Beyond, more are started."""
_CLOSING_SECONDS = 10.0
"""What a replica may take to end, beyond the longest deadline."""
_HEALTH_SECONDS = 5.0


class RayStore:
    """The shared plans, in a process of their own: see :class:`server.cluster.plans.Store`."""

    def __init__(self, ray: Any, actor: Any) -> None:
        self._ray, self._actor = ray, actor

    async def ask(self, method: str, *arguments: Any) -> Any:
        """Its answer."""
        return await getattr(self._actor, method).remote(*arguments)

    def ask_now(self, method: str, *arguments: Any) -> Any:
        """The same in a thread that can wait."""
        return self._ray.get(getattr(self._actor, method).remote(*arguments))


def serve(settings: Settings, ready: Callable[[str], None]) -> None:
    """Serve under Ray until told to stop (SIGTERM, Ctrl-C), then let replicas answer what they have.

    ``ready`` is called with the address once there are replicas.

    Raises:
        Failure: Ray is not installed, there is no such cluster, or no replica starts.
        ValueError: another program listens on this machine's port.
    """
    assert settings.ray is not None
    # Ray gives its proxies five seconds to start, and a busy machine takes longer.
    os.environ.setdefault("RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S", "60")
    ray = connect(settings.ray)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of Ray about itself
        from ray import serve as ray_serve

    # Later Ray tries again for a minute, and then says it in a traceback. Proxies that run hold the port.
    if not ray_serve.status().proxies:
        check_address(settings.host, settings.port)
    actor = _shared_plans(ray)
    with _until_told():
        try:
            ray_serve.start(http_options={"host": settings.host, "port": settings.port})
            ray_serve.run(_replica(ray, ray_serve, settings, actor).bind(), name=NAME, route_prefix="/")
            ready(f"http://{settings.host}:{settings.port}")
            signal.pause()
        except (RuntimeError, ray.exceptions.RayError) as error:
            raise Failure(f"no replica could be started: {error}") from error
        finally:
            ray_serve.delete(NAME)
            ray.kill(actor)


@contextmanager
def _until_told() -> Iterator[None]:
    """Signals to stop raise inside, in whatever is going on; SIGHUP, which asks a plain server for its new
    models, is not one of them.
    """
    before = {number: signal.signal(number, _stop) for number in (signal.SIGINT, signal.SIGTERM)}
    before[signal.SIGHUP] = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(number: int, frame: FrameType | None) -> None:
    raise Terminated if number == signal.SIGTERM else KeyboardInterrupt


def build_app(settings: Settings, ray: Any, actor: Any) -> FastAPI:
    """The application of a replica, which is up once its models are warm; its end is told to the others."""
    warnings.filterwarnings("ignore", module="PIL")
    metrics = Metrics()
    service = ModelService(settings, load_ready, metrics)
    plans = SharedMemory(RayStore(ray, actor))
    app = create_app(settings, service, metrics, plans=plans)
    begin = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with begin(app):
            await service.warmed_up()
            yield
        await plans.settle()

    app.router.lifespan_context = lifespan
    return app


def _shared_plans(ray: Any) -> Any:
    """The process that keeps them: on this machine, started again if it fails."""
    here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
        ray.get_runtime_context().get_node_id(), soft=True
    )
    options = {
        "name": "plans",
        "namespace": NAME,
        "get_if_exists": True,
        "lifetime": "detached",
        "num_cpus": 0,
        "max_restarts": -1,
        # What is asked while it starts again waits for it: all that it can be asked may be asked twice.
        "max_task_retries": -1,
        "max_concurrency": 10_000,
        "scheduling_strategy": here,
    }
    return ray.remote(PlanStore).options(**options).remote(CAPACITY, KEPT_SECONDS)


def _replica(ray: Any, ray_serve: Any, settings: Settings, actor: Any) -> Any:
    """The deployment: as many replicas as are needed, each with the cores of its threads, or with a GPU."""

    def build() -> FastAPI:
        return build_app(settings, ray, actor)

    @ray_serve.ingress(build)
    class Replica:
        def check_health(self) -> None:
            """Ray starts another replica in the place of one whose engine has failed."""
            if self.app.state.service.engine.failed:  # type: ignore[attr-defined]
                raise RuntimeError("the engine has failed")

    return ray_serve.deployment(
        Replica,
        name=NAME,
        ray_actor_options={
            "num_cpus": settings.threads,
            "num_gpus": int(settings.device.startswith("cuda")),
        },
        autoscaling_config={
            "min_replicas": settings.least_replicas,
            "initial_replicas": settings.least_replicas,
            "max_replicas": settings.most_replicas,
            "target_ongoing_requests": AT_WORK,
        },
        # The application refuses what is too much itself, and says when to come again.
        max_ongoing_requests=settings.max_connections,
        graceful_shutdown_timeout_s=settings.max_deadline_ms / 1000 + _CLOSING_SECONDS,
        health_check_period_s=_HEALTH_SECONDS,
        logging_config={"enable_access_log": False},
    )
