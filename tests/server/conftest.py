"""The service on the toy world and on tiny world models, in process and on a real socket."""

import asyncio
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
import torch
import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient
from jaxtyping import UInt8
from PIL import Image
from stand_ins import Clock, GatedPlanner
from tiny_models import ACTUATORS, TINY, VIDEOS, WORLDS, at_random
from torch import Tensor

from planner.loaded import ReadyPlanner
from planner.loading import load_ready
from planner.search.hierarchy import Planner
from server.app import RESOURCES, create_app
from server.http.connection import configure
from server.http.pictures import to_base64
from server.http.resource import small_tasks
from server.models.service import ModelService
from server.settings import Settings
from world_models.checkpoint import read_model, write_model
from world_models.frames import to_bytes
from world_models.segmenter import ColorSegmenter, ObjectGoal
from world_models.struct_vrnn.model import StructVRNN
from world_models.struct_vrnn.rewards.head import RewardHead, RewardHeadConfig

Picture = UInt8[np.ndarray, "H W 3"]
START, GOAL = (12.0, 50.0), (47.0, 16.0)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests that name no deadline have the longest one: a busy machine is slow."""
    longest = "server.http.exchange.default_deadline_ms"
    monkeypatch.setattr(longest, lambda settings: settings.max_deadline_ms)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time that deadlines and the engine go by."""
    clock = Clock()
    for module in ("engine.engine", "engine.admission", "engine.jobs", "http.exchange", "models.service"):
        monkeypatch.setattr(f"server.{module}.time", clock)
    return clock


@pytest.fixture
def gated(toy_planner: Planner) -> GatedPlanner:
    return GatedPlanner(toy_planner)


@pytest.fixture
def ready_planner(gated: GatedPlanner, toy_segmenter: ColorSegmenter) -> ReadyPlanner:
    goal = ObjectGoal(segmenter=toy_segmenter, body="puck", effector="finger")
    return ReadyPlanner("toy", "1", "ab" * 32, "cd" * 32, 64, gated, goal)


@pytest.fixture
def make_service(ready_planner: ReadyPlanner) -> Callable[..., ModelService]:
    """``make_service(**settings)``: a service, not yet started, that has the model ``toy``."""

    def make(**settings: Any) -> ModelService:
        return ModelService(
            Settings(models=("toy",), threads=1, **settings), lambda name, device: ready_planner
        )

    return make


@pytest.fixture
def service(make_service: Callable[..., ModelService]) -> ModelService:
    return make_service(queue_size=2)


@pytest.fixture
def http(service: ModelService, gated: GatedPlanner) -> Iterator[TestClient]:
    """The service over HTTP in process, warmed up; a failure inside is a 500, not an exception."""
    with TestClient(
        create_app(service.settings, service), base_url="http://localhost", raise_server_exceptions=False
    ) as client:
        wait_until(lambda: client.get("/readyz").status_code == 200)
        gated.plans = 0
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


@pytest.fixture(scope="session")
def world_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Model folders of :data:`WORLDS`; ``tiny-dmc`` has reward heads beside it."""
    parent = tmp_path_factory.mktemp("worlds")
    folders = {name: parent / name for name in WORLDS}
    for name, folder in folders.items():
        config = TINY.model_copy(update=WORLDS[name])
        write_model(folder, config, at_random(lambda config=config: StructVRNN(config)), "")
    digest = read_model(folders["tiny-dmc"]).weights_digest
    for task, actions in ACTUATORS.items():
        head = RewardHeadConfig(
            task=task, actions=actions, hidden_size=TINY.hidden + TINY.features, width=8, world_model=digest
        )
        write_model(
            parent / "tiny-dmc-rewards" / task, head, at_random(lambda head=head: RewardHead(head)), ""
        )
    return folders


@pytest.fixture(scope="session")
def worlds(world_folders: dict[str, Path]) -> Iterator[ModelService]:
    """A service that has the models of :data:`WORLDS`; it runs as long as the tests do."""
    with serving(world_folders) as service:
        yield service


@pytest.fixture(scope="session")
def world_http(worlds: ModelService) -> TestClient:
    """That service over HTTP in process."""
    return in_process(worlds)


@pytest.fixture(scope="session")
def video_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Model folders of :data:`VIDEOS`."""
    parent = tmp_path_factory.mktemp("videos")
    for name, build in VIDEOS.items():
        model = at_random(build, decoder=2.0)
        write_model(parent / name, model.config, model, "")
    return {name: parent / name for name in VIDEOS}


@contextmanager
def serving(folders: dict[str, Path]) -> Iterator[ModelService]:
    """A service that has the models of these folders, warmed up."""
    models = {name: load_ready(str(folder)) for name, folder in folders.items()}
    service = ModelService(Settings(models=tuple(models)), lambda name, device: models[name])
    service.start(partial(small_tasks, RESOURCES))
    wait_until(lambda: service.unready() is None)
    yield service
    service.close()


def in_process(service: ModelService) -> TestClient:
    """A service over HTTP in process."""
    app = create_app(service.settings, service)
    return TestClient(app, base_url="http://localhost", raise_server_exceptions=False)


@pytest.fixture(scope="session")
def videos(video_folders: dict[str, Path]) -> Iterator[ModelService]:
    """A service that has the models of ``video_folders``; it runs as long as the tests do."""
    with serving(video_folders) as service:
        yield service


@pytest.fixture(scope="session")
def video_http(videos: ModelService) -> TestClient:
    """That service over HTTP in process."""
    return in_process(videos)


@contextmanager
def running(app: FastAPI, settings: Settings, loop_factory: Any = None, **options: Any) -> Iterator[str]:
    """An application on a real socket, in uvicorn's own loop or that of ``loop_factory``; gives its URL."""
    config = configure(app, settings, port=0, log_level="warning", lifespan="on", **options)
    server = uvicorn.Server(config)
    make_loop = loop_factory or config.get_loop_factory()

    def run() -> None:
        with asyncio.Runner(loop_factory=make_loop) as runner:
            runner.run(server.serve())

    thread = threading.Thread(target=run)
    thread.start()
    try:
        wait_until(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(timeout=20)


@pytest.fixture
def serve() -> Callable[..., Any]:
    """``serve(service, **options)``: a context that has the service on a real socket, warmed up."""

    @contextmanager
    def ready(service: ModelService, **options: Any) -> Iterator[str]:
        with running(create_app(service.settings, service), service.settings, **options) as url:
            wait_until(lambda: service.unready() is None)
            yield url

    return ready


@pytest.fixture
def run_app() -> Callable[..., Any]:
    """``run_app(app, settings, **options)``: a context that has an application on a real socket."""
    return running


@pytest.fixture
def url(service: ModelService, serve: Callable[..., Any]) -> Iterator[str]:
    with serve(service) as url:
        yield url


@pytest.fixture
def computed(worlds: ModelService) -> Callable[[Callable[[], Any]], Any]:
    """``computed(work)``: what models say when asked directly, with as many threads as the service has."""

    def inferred(work: Callable[[], Any]) -> Any:
        torch.set_num_threads(worlds.settings.threads)
        with torch.inference_mode():
            return work()

    def compute(work: Callable[[], Any]) -> Any:
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(inferred, work).result(20)

    return compute


@pytest.fixture
def asked() -> Callable[..., Any]:
    """``asked(url, body, **headers)``: a context that has asked for a plan; its client leaves at the end."""

    @contextmanager
    def asking(url: str, body: dict[str, Any], **headers: str) -> Iterator[None]:
        connection = HTTPConnection(urlsplit(url).netloc, timeout=20)
        try:
            head = {"Content-Type": "application/json", **headers}
            connection.request("POST", "/v1/plans", json.dumps(body), head)
            yield
        finally:
            connection.close()

    return asking


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Poll; fails the test if the condition does not come true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.01)


@pytest.fixture(scope="session")
def eventually() -> Callable[..., None]:
    return wait_until
