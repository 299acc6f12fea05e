"""The service on the toy world, in process and on a real socket."""

import io
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import uvicorn
from fastapi.testclient import TestClient
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from planner.build import ReadyPlanner
from planner.costs import ColorSegmenter
from planner.hierarchy import Plan, Planner, never
from server.app import create_app
from server.codecs import to_base64
from server.service import PlanService
from server.settings import Settings
from world_models.frames import to_bytes

Picture = UInt8[np.ndarray, "H W 3"]
START, GOAL = (12.0, 50.0), (47.0, 16.0)


class GatedPlanner:
    """A planner that waits at a gate before each plan, and rests between iterations."""

    def __init__(self, planner: Planner) -> None:
        self._planner = planner
        self.config = planner.config
        self.gate = threading.Event()
        self.gate.set()
        self.rest_seconds = 0.0
        self.plans = 0

    def plan(self, *args: Any, stop: Callable[[], Any] = never, **kwargs: Any) -> Plan:
        self.plans += 1
        assert self.gate.wait(timeout=20)

        def rested() -> Any:
            time.sleep(self.rest_seconds)
            return stop()

        return self._planner.plan(*args, stop=rested, **kwargs)


@pytest.fixture
def gated(toy_planner: Planner) -> GatedPlanner:
    return GatedPlanner(toy_planner)


@pytest.fixture
def ready_planner(gated: GatedPlanner, toy_segmenter: ColorSegmenter) -> ReadyPlanner:
    return ReadyPlanner("toy", "1", "ab" * 32, "cd" * 32, gated, 64, toy_segmenter)


@pytest.fixture
def make_service(ready_planner: ReadyPlanner) -> Callable[..., PlanService]:
    """``make_service(**settings)``: a service, not yet started, that has the model ``toy``."""

    def make(**settings: Any) -> PlanService:
        return PlanService(
            Settings(models=("toy",), threads=1, **settings), lambda name, device: ready_planner
        )

    return make


@pytest.fixture
def service(make_service: Callable[..., PlanService]) -> PlanService:
    return make_service(queue_size=2)


@pytest.fixture
def http(service: PlanService) -> Iterator[TestClient]:
    """The service over HTTP in process, warmed up; a failure inside is a 500, not an exception."""
    with TestClient(create_app(service.settings, service), raise_server_exceptions=False) as client:
        wait_until(lambda: client.get("/readyz").status_code == 200)
        yield client


@pytest.fixture
def toy_bytes(toy_picture: Callable[..., Tensor]) -> Callable[[float, float], Picture]:
    """``toy_bytes(x, y)``: the toy world with the puck there, as byte pixels."""
    return lambda x, y: to_bytes(toy_picture((x, y))[0])


@pytest.fixture
def body(toy_bytes: Callable[[float, float], Picture]) -> dict[str, Any]:
    """A request that any of these services can answer."""
    return {"start": to_base64(toy_bytes(*START)), "goal": to_base64(toy_bytes(*GOAL)), "seed": 7}


@pytest.fixture
def empty_table(toy_bytes: Callable[[float, float], Picture]) -> str:
    """The toy world without a puck, as a base64 PNG."""
    return to_base64(toy_bytes(-50, -50))


@pytest.fixture
def picture_file(toy_bytes: Callable[[float, float], Picture]) -> Callable[..., bytes]:
    """``picture_file(format="PNG", mode="RGB", size=(64, 64))``: the goal picture as a file."""

    def encode(
        format: str = "PNG", mode: str = "RGB", size: tuple[int, int] = (64, 64), **options: Any
    ) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(toy_bytes(*GOAL)).resize(size).convert(mode).save(buffer, format, **options)
        return buffer.getvalue()

    return encode


@contextmanager
def serving(service: PlanService) -> Iterator[str]:
    """The service on a real socket; gives its URL."""
    config = uvicorn.Config(create_app(service.settings, service), port=0, log_level="warning", lifespan="on")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(timeout=20)


@pytest.fixture
def url(service: PlanService) -> Iterator[str]:
    with serving(service) as url:
        wait_until(lambda: service.unready() is None)
        yield url


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Poll; fails the test if the condition does not come true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.01)


@pytest.fixture
def eventually() -> Callable[..., None]:
    return wait_until
