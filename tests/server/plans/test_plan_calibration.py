"""Pictures in other light are corrected before a plan is made; actions are told how, or find out."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from jaxtyping import UInt8
from torch import Tensor

from planner.loaded import ReadyPlanner
from server.app import create_app
from server.client import Client
from server.http.pictures import from_base64, to_base64
from server.models.service import ModelService
from server.schemas import Calibration
from server.settings import Settings
from world_models.eye import Eye, EyeStage, reference_of
from world_models.frames import to_bytes

Picture = UInt8[np.ndarray, "H W 3"]
STANDARD = {"tone": None, "pitch_degrees": 0.0, "yaw_degrees": 0.0, "object_colour": None}


@pytest.fixture
def eye(toy_picture: Callable[..., Tensor]) -> Eye:
    """That of a model that has learned from the toy world."""
    places = [(8.0 * x, 8.0 * y) for x in range(1, 8) for y in range(1, 8)]
    return Eye(reference_of(to_bytes(toy_picture(*places)), EyeStage()))


@pytest.fixture
def seeing(ready_planner: ReadyPlanner, worlds: ModelService, eye: Eye, eventually: Any) -> ModelService:
    """A service whose models have eyes."""
    models: dict[str, Any] = {
        "toy": replace(ready_planner, eye=eye),
        "tiny-push": replace(worlds.models["tiny-push"], eye=eye),
    }
    return ModelService(Settings(models=tuple(models), threads=1), lambda name, device: models[name])


@pytest.fixture
def client(seeing: ModelService, eventually: Any) -> Iterator[TestClient]:
    with TestClient(create_app(seeing.settings, seeing), base_url="http://localhost") as client:
        eventually(lambda: client.get("/readyz").status_code == 200)
        yield client


def dark(picture: Picture) -> Picture:
    return (picture * 0.6).round().astype(np.uint8)


@pytest.fixture
def darkened(body: dict[str, Any]) -> dict[str, Any]:
    return body | {name: to_base64(dark(from_base64(body[name]))) for name in ("start", "goal")}


def test_pictures_as_in_training_give_the_plan_of_a_model_without_eye(
    client: TestClient, http: TestClient, body: dict[str, Any]
) -> None:
    seeing, blind = (one.post("/v1/plans", json=body).json() for one in (client, http))
    assert seeing["calibration"] == blind["calibration"] == STANDARD
    assert seeing["seen"] is blind["seen"] is None
    assert seeing["digest"] == blind["digest"]


def test_the_reply_says_how_dark_pictures_were_seen(
    client: TestClient, http: TestClient, body: dict[str, Any], darkened: dict[str, Any]
) -> None:
    assert http.post("/v1/plans", json=darkened).status_code == 422  # no puck is found in them
    usual, reply = (client.post("/v1/plans", json=sent).json() for sent in (body, darkened))
    tone = reply["calibration"]["tone"]
    assert np.divide(tone["becomes"], tone["brightest"]) == pytest.approx(1 / 0.6, rel=0.03)
    assert tone["exponent"] == pytest.approx([1.0] * 3, abs=0.05)
    for name in ("start", "goal"):
        corrected, expected = from_base64(reply["seen"][name]), from_base64(body[name])
        assert np.abs(corrected.astype(int) - expected).max() <= 3
        assert reply[name]["object_position"] == pytest.approx(usual[name]["object_position"], abs=0.1)


def act(client: TestClient, frame: str, **more: Any) -> Any:
    return client.post("/v1/actions", json={"frames": [frame], "seed": 5, "candidates": 8, **more})


def test_actions_see_as_the_plan_did(client: TestClient, darkened: dict[str, Any]) -> None:
    plan = client.post("/v1/plans", json=darkened).json()
    named = act(client, darkened["start"], plan=plan["id"], index=2).json()
    subgoal = {"subgoal": plan["subgoals"][2]["image"]}
    told = act(client, darkened["start"], **subgoal, calibration=plan["calibration"]).json()
    found = act(client, darkened["start"], **subgoal, start=darkened["start"], goal=darkened["goal"]).json()
    seen = act(client, plan["seen"]["start"], **subgoal).json()
    blind = act(client, darkened["start"], **subgoal).json()
    assert named["digest"] == told["digest"] == found["digest"] == seen["digest"] != blind["digest"]
    assert named["calibration"] == told["calibration"] == found["calibration"] == plan["calibration"]
    assert seen["calibration"] == blind["calibration"] == STANDARD


def rolled_out(client: TestClient, path: str, frames: list[str]) -> Any:
    """Keypoints, or where an action leads."""
    more = {"keypoints": {}, "predictions": {"past_actions": [[0.1, 0.2]], "actions": [[0.3, -0.2]]}}[path]
    return client.post(f"/v1/{path}", json={"model": "tiny-push", "frames": frames, **more})


@pytest.mark.parametrize("path", ["keypoints", "predictions"])
def test_world_models_see_frames_as_their_eye_corrects_them(
    client: TestClient, body: dict[str, Any], path: str
) -> None:
    usual = [from_base64(body[name]) for name in ("start", "goal")]
    shown, darkened = ([to_base64(change(one)) for one in usual] for change in (np.copy, dark))
    as_ever, corrected = (rolled_out(client, path, frames).json() for frames in (shown, darkened))
    assert as_ever["calibration"] == STANDARD
    tone = corrected["calibration"]["tone"]
    assert np.divide(tone["becomes"], tone["brightest"]) == pytest.approx(1 / 0.6, rel=0.03)
    name = "keypoints" if path == "keypoints" else "context"
    found, expected = (
        np.array([[list(p.values()) for p in f] for f in r[name]]) for r in (corrected, as_ever)
    )
    assert np.abs(found - expected)[..., :2].max() < 0.5


@pytest.fixture
def edged(ready_planner: ReadyPlanner, worlds: ModelService, toy_picture: Callable[..., Tensor]) -> Any:
    """A service whose models know a world with edges, and a picture of it."""
    seen = to_bytes(toy_picture(*[(8.0 * x, 8.0 * y) for x in range(1, 8) for y in range(1, 8)]))
    seen[:, 4:60, 4:8] = seen[:, 4:8, 4:60] = (30, 60, 200)
    eye = Eye(reference_of(seen, EyeStage()))
    models: dict[str, Any] = {
        "toy": replace(ready_planner, eye=eye),
        "tiny-push": replace(worlds.models["tiny-push"], eye=eye),
    }
    service = ModelService(Settings(models=tuple(models), threads=1), lambda name, device: models[name])
    return service, to_base64(seen[20])


def test_pictures_of_another_world_are_refused(edged: Any, eventually: Any) -> None:
    service, usual = edged
    noise = to_base64(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    with TestClient(create_app(service.settings, service), base_url="http://localhost") as client:
        eventually(lambda: client.get("/readyz").status_code == 200)
        assert rolled_out(client, "keypoints", [usual, usual]).status_code == 200
        plan = client.post("/v1/plans", json={"start": usual, "goal": noise, "samples": 2})
        found = rolled_out(client, "keypoints", [noise, usual])
    for reply, field in ((plan, "goal"), (found, "frames.0")):
        assert reply.status_code == 422 and reply.json()["type"].endswith("strange-picture")
        (error,) = reply.json()["errors"]
        assert error["field"] == field and "has never seen" in error["message"]


def test_a_model_without_eye_says_that_it_cannot_correct(
    client: TestClient, world_http: TestClient, darkened: dict[str, Any]
) -> None:
    plan = client.post("/v1/plans", json=darkened).json()
    subgoal = {"model": "tiny-push", "subgoal": plan["subgoals"][2]["image"]}
    refused = act(world_http, darkened["start"], **subgoal, calibration=plan["calibration"])
    (error,) = refused.json()["errors"]
    assert refused.status_code == 422 and error["field"] == "calibration"
    assert "has no eye" in error["message"]
    assert act(world_http, darkened["start"], **subgoal, calibration=STANDARD).status_code == 200


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"calibration": STANDARD, "start": "x", "goal": "x"}, "either a calibration or start and goal"),
        ({"start": "x"}, "either a calibration or start and goal"),
        ({"calibration": STANDARD | {"pitch_degrees": 40}}, "less than or equal to 15"),
        ({"calibration": STANDARD | {"object_colour": [1, 2]}}, "object_colour"),
        ({"calibration": {"gamma": 2}}, "gamma"),
    ],
)
def test_calibrations_that_are_none_are_refused(
    client: TestClient, body: dict[str, Any], wrong: dict[str, Any], message: str
) -> None:
    reply = act(client, body["start"], subgoal=body["goal"], **wrong)
    assert reply.status_code == 422 and message in reply.text


def test_the_client_passes_calibrations_on(
    seeing: ModelService, serve: Any, darkened: dict[str, Any]
) -> None:
    start, goal = (from_base64(darkened[name]) for name in ("start", "goal"))
    with serve(seeing) as url, Client(url) as client:
        plan = client.plan(start, goal, seed=7)
        options: dict[str, Any] = {"seed": 5, "candidates": 8}
        subgoal = plan.images[2]
        told = client.act([start], subgoal, calibration=plan.response.calibration, **options)
        found = client.act([start], subgoal, start=start, goal=goal, **options)
        blind = client.act([start], subgoal, calibration=Calibration(), **options)
    assert told.response.digest == found.response.digest != blind.response.digest
