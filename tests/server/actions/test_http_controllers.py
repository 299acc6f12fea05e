"""Control models over HTTP: they are listed, act for value, and drive episodes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient
from tiny_models import at_random

from planner.loading import load_ready
from planner.low_levels.learned import VALUE_SERVO, control_by_value
from planner.low_levels.low_level import Request
from planner.search.rollout import drive
from server.app import create_app
from server.client import Client
from server.http.pictures import to_base64
from server.models.service import ModelService
from server.settings import Settings
from world_models.checkpoint import read_model, write_model
from world_models.frames import to_tensor
from world_models.interface import Context
from world_models.struct_vrnn.config import StructVRNNConfig
from world_models.struct_vrnn.control.config import ControlConfig
from world_models.struct_vrnn.control.model import Control
from world_models.struct_vrnn.model import StructVRNN

TASK = "cartpole-balance"
DETECTOR = StructVRNNConfig(
    tasks=(TASK,), actions=1, widths=(0, 4, 8), keypoints=3, bodies=("cart", "pole_tip"), latent=2, hidden=8
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's folder whose models have random weights."""
    run = tmp_path_factory.mktemp("run")
    write_model(run / "detector", DETECTOR, at_random(lambda: StructVRNN(DETECTOR)), "")
    config = ControlConfig(
        task=TASK,
        detector=read_model(run / "detector").weights_digest,
        actions=1,
        measured=2 * 2 + 3 * 3,
        width=16,
        latent=16,
        most_reward=4.0,
    )
    write_model(run / "model", config, at_random(lambda: Control(config)), "")
    return run / "model"


@pytest.fixture(scope="module")
def models(folder: Path, worlds: ModelService) -> dict[str, Any]:
    """The control model, and a world model of the same task."""
    return {"act": load_ready(f"act={folder}"), "tiny-dmc": worlds.models["tiny-dmc"]}


def serving(models: dict[str, Any]) -> ModelService:
    return ModelService(Settings(models=tuple(models), threads=1), lambda name, device: models[name])


@pytest.fixture(scope="module")
def client(models: dict[str, Any], eventually: Any) -> Iterator[TestClient]:
    service = serving(models)
    with TestClient(create_app(service.settings, service), base_url="http://localhost") as client:
        eventually(lambda: client.get("/readyz").status_code == 200)
        yield client


def frames(count: int = 4) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 64, 64, 3), dtype=np.uint8)


def body(**changes: Any) -> dict[str, Any]:
    sent = {"objective": "value", "task": TASK, "frames": [to_base64(one) for one in frames()], "seed": 5}
    return sent | {"past_actions": [[0.1], [-0.2], [0.3]]} | changes


def test_it_is_listed_with_its_task_and_described(client: TestClient, folder: Path) -> None:
    listed = {model["name"]: model for model in client.get("/v1/models").json()["models"]}
    found = listed["act"]
    assert (found["kind"], found["task"], found["actions"]) == ("controller", TASK, 1)
    assert found["detector_sha256"] == read_model(folder.with_name("detector")).weights_digest
    (control,) = found["control"]
    assert (control["objective"], control["frames"], control["horizon"]) == ("value", 3, 3)
    arrays = client.get("/v2/models/act").json()
    assert [one["name"] for one in arrays["inputs"]] == ["frames", "past_actions"]


def test_actions_are_those_of_the_search_in_process(client: TestClient, models: dict[str, Any]) -> None:
    reply = client.post("/v1/actions", json=body(candidates=12)).json()
    ready = models["act"]
    config = VALUE_SERVO.model_copy(update={"cem": VALUE_SERVO.cem.model_copy(update={"candidates": 12})})
    servo = control_by_value(ready.world, ready.control, config)
    seen = Context(to_tensor(frames())[None], torch.tensor(body()["past_actions"])[None])
    generator = torch.Generator().manual_seed(5)
    step = drive(servo.acting(Request(seen, torch.zeros(1, 3, 64, 64), None, generator)))
    assert reply["model"]["name"] == "act" and reply["objective"] == "value"
    assert reply["action"] == step.action[0].tolist()
    assert reply["cost"] == step.cost.item()
    assert len(reply["expected"]) == 3 and all(one["reward"] is not None for one in reply["expected"])
    assert client.post("/v1/actions", json=body(candidates=12)).json()["digest"] == reply["digest"]


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"task": "walker-walk"}, 422, "trained to do cartpole-balance alone"),
        ({"render": True}, 422, "imagine no pictures"),
        ({"subgoal": "x"}, 422, "sought without a subgoal"),
        ({"past_actions": [[0.1, 0.2]] * 3}, 422, "Actions of this task have 1 numbers"),
        ({"model": "tiny-dmc"}, 422, "act"),
        ({"objective": "reward", "model": "act"}, 422, "tiny-dmc"),
    ],
)
def test_what_it_cannot_do_is_refused(client: TestClient, change: Any, status: int, words: str) -> None:
    reply = client.post("/v1/actions", json=body(**change))
    assert reply.status_code == status and words in reply.text


def test_episodes_are_driven_by_the_model_that_is_asked_for(client: TestClient) -> None:
    asked = {"environment": TASK, "seed": 3, "episode_seed": 7, "steps": 3}
    acted = {
        objective: client.post("/v1/episodes", json=asked | more).json()
        for objective, more in (
            ("any", {}),
            ("value", {"objective": "value"}),
            ("reward", {"objective": "reward"}),
        )
    }
    assert acted["any"]["model"]["name"] == acted["value"]["model"]["name"] == "act"
    assert acted["any"]["digest"] == acted["value"]["digest"]
    assert acted["reward"]["model"]["name"] == "tiny-dmc"
    assert all(len(one["rewards"]) == 3 for one in acted.values())
    assert acted["reward"]["forecast"] is None and acted["reward"]["discount"] is None
    environments = {one["name"]: one for one in client.get("/v1/environments").json()["environments"]}
    assert environments[TASK]["controllers"] == ["act", "tiny-dmc"]


def test_the_forecast_is_minus_the_cost_of_the_action_that_was_chosen(client: TestClient) -> None:
    asked = {"environment": TASK, "seed": 3, "episode_seed": 7, "steps": 3, "objective": "value"}
    episode = client.post("/v1/episodes", json=asked).json()
    assert 0 < episode["discount"] < 1 and len(episode["forecast"]) == len(episode["actions"]) == 3
    first = client.post(
        "/v1/actions", json=body(frames=episode["frames"][:1], past_actions=[], seed=7)
    ).json()
    assert first["action"] == episode["actions"][0] and episode["forecast"][0] == -first["cost"]


def test_the_client_asks_for_value(models: dict[str, Any], serve: Any) -> None:
    with serve(serving(models)) as url, Client(url) as client:
        reply = client.act(
            frames(), task=TASK, objective="value", past_actions=np.float32(body()["past_actions"])
        )
        assert reply.response.model.name == "act"
