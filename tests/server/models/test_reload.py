"""New models while requests are answered: none fails, none mixes models, and bad folders change nothing."""

import logging
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient

from planner.loading import load_ready
from server.app import create_app
from server.http.pictures import to_base64
from server.models.reload import Reload
from server.models.service import ModelService
from server.settings import Settings
from world_models.checkpoint import WEIGHTS, read_model, write_model
from world_models.struct_vrnn.config import StructVRNNConfig
from world_models.struct_vrnn.model import StructVRNN

WORLD = "tiny-agents"


@pytest.fixture
def versions(world_folders: dict[str, Path], tmp_path: Path) -> list[Path]:
    """Folders of two world models that differ in their weights."""
    folders = [tmp_path / "first" / WORLD, tmp_path / "second" / WORLD]
    for folder, scale in zip(folders, (1.0, 1.01), strict=True):
        stored = read_model(world_folders[WORLD])
        config = stored.parse_config(StructVRNNConfig)
        model = StructVRNN(config)
        stored.fill(model)
        with torch.no_grad():
            for weights in model.parameters():
                weights.mul_(scale)
        write_model(folder, config, model, "")
    return folders


@pytest.fixture
def served(versions: list[Path], tmp_path: Path) -> Path:
    return shutil.copytree(versions[0], tmp_path / "served" / WORLD)


def make_client(service: ModelService) -> TestClient:
    app = create_app(service.settings, service)
    return TestClient(app, base_url="http://localhost", raise_server_exceptions=False)


def make_service(folder: Path) -> ModelService:
    return ModelService(Settings(models=(str(folder),), queue_size=16), load_ready)


@pytest.fixture
def http(served: Path, eventually: Callable[..., None]) -> Iterator[TestClient]:
    service = make_service(served)
    with make_client(service) as client:
        eventually(lambda: service.unready() is None)
        yield client


@pytest.fixture
def outcomes() -> list[str]:
    return []


@pytest.fixture
def reload(http: TestClient, outcomes: list[str], eventually: Callable[..., None]) -> Callable[[], str]:
    """``reload()``: how it has ended."""
    reload = Reload(http.app.state.service, outcomes.append)

    def ask() -> str:
        done = len(outcomes)
        reload.ask()
        eventually(lambda: len(outcomes) > done)
        return outcomes[-1]

    return ask


@pytest.fixture
def request_body() -> dict[str, Any]:
    picture = np.full((16, 16, 3), 120, np.uint8)
    picture[4:8, 4:8] = (255, 0, 0)
    body = {"frames": [to_base64(picture)] * 2, "steps": 4, "samples": 2, "seed": 7, "render": False}
    return body | {"deadline_ms": 60_000}  # so that the warm-up of new models comes first


def answer(client: TestClient, body: dict[str, Any]) -> tuple[int, str, str]:
    """Status, version and content of a reply."""
    reply = client.post("/v1/predictions", json=body).json()
    return reply.get("status", 200), reply.get("model", {}).get("sha256", ""), reply.get("digest", "")


def test_reloading_under_load(
    http: TestClient,
    versions: list[Path],
    served: Path,
    reload: Callable[[], str],
    outcomes: list[str],
    request_body: dict[str, Any],
    eventually: Callable[..., None],
) -> None:
    expected = set()
    for folder in versions:
        alone = make_service(folder)
        with make_client(alone) as client:
            eventually(lambda alone=alone: alone.unready() is None)
            expected.add(answer(client, request_body))
    assert len(expected) == 2 and len({digest for _, _, digest in expected}) == 2
    seen: Counter[tuple[int, str, str]] = Counter()
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            seen[answer(http, request_body)] += 1

    with ThreadPoolExecutor() as pool:
        clients = [pool.submit(ask) for _ in range(3)]
        try:
            for number in range(20):
                bad = number % 4 == 3
                shutil.rmtree(served, ignore_errors=True)
                shutil.copytree(versions[number % 2], served)
                if bad:
                    spoil(served, number)
                assert reload() == ("failed" if bad else "ok")
                # One request of each client may still be that of the models before.
                enough = seen.total() + 5
                eventually(lambda enough=enough: seen.total() >= enough)
        finally:
            done.set()
        for client in clients:
            client.result(20)
    assert set(seen) == expected and min(seen.values()) > 3
    assert Counter(outcomes) == {"ok": 15, "failed": 5}


def spoil(folder: Path, number: int) -> None:
    """Make a model folder unusable, in different ways."""
    match number // 4 % 3:
        case 0:
            (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-1])
        case 1:
            (folder / "config.json").unlink()
        case 2:
            shutil.rmtree(folder)


def test_what_went_wrong_is_told(
    http: TestClient,
    served: Path,
    reload: Callable[[], str],
    request_body: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = answer(http, request_body)
    (served / "card.md").write_text("tampered with")
    with caplog.at_level(logging.WARNING, "server.models.reload"):
        assert reload() == "failed"
    assert "the old ones go on" in caplog.text and "card.md differs from the SHA-256" in caplog.text
    assert answer(http, request_body) == before and http.get("/readyz").status_code == 200


def test_new_models_are_warmed_up_before_they_serve(
    http: TestClient, reload: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    service: ModelService = http.app.state.service
    old = service.models

    def fail(*_: Any) -> Any:
        raise RuntimeError("out of memory")

    monkeypatch.setattr("server.predictions.struct_vrnn.example_prediction", fail)
    assert reload() == "failed" and service.models is old
    monkeypatch.undo()
    assert reload() == "ok" and service.models is not old
    assert list(service.warm_up_seconds) == [WORLD]


def test_a_warm_up_beside_requests_teaches_nothing(
    http: TestClient, reload: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    learned: list[str] = []
    forecast = http.app.state.service.engine.forecast
    assert forecast.seconds("predictions", WORLD, 1) > 0
    monkeypatch.setattr(forecast, "learn", lambda kind, *_: learned.append(kind))
    assert reload() == "ok"
    assert set(learned) == {"warm-up", "end of warm-up"}
