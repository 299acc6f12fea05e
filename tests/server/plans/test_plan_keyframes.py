"""How many keyframes a plan has can be asked for, and which models can be asked."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from planner.loaded import ReadyPlanner
from planner.search.hierarchy import Planner
from server.app import create_app
from server.models.service import ModelService
from server.settings import Settings


@pytest.fixture
def both(ready_planner: ReadyPlanner, counting_planner: Planner, eventually: Any) -> Iterator[TestClient]:
    """A service with a model that always plans six keyframes, and one that plans up to six."""
    models = {
        "six": replace(ready_planner, name="six"),
        "any": replace(ready_planner, name="any", planner=counting_planner),
    }
    service = ModelService(Settings(models=tuple(models), threads=1), lambda name, device: models[name])
    with TestClient(create_app(service.settings, service), base_url="http://localhost") as client:
        eventually(lambda: client.get("/readyz").status_code == 200)
        yield client


def plan(client: TestClient, body: dict[str, Any], **more: Any) -> Any:
    return client.post("/v1/plans", json={**body, **more})


def test_the_first_model_that_can_answers(both: TestClient, body: dict[str, Any]) -> None:
    for keyframes, name, count in ((None, "six", 6), (6, "six", 6), (2, "any", 2)):
        reply = plan(both, body, keyframes=keyframes).json()
        assert (reply["model"]["name"], len(reply["subgoals"])) == (name, count)
    reply = plan(both, body, keyframes="auto").json()
    assert reply["model"]["name"] == "any" and 1 <= len(reply["subgoals"]) < 6


def test_what_a_model_does_not_plan_is_refused(both: TestClient, body: dict[str, Any]) -> None:
    for keyframes, model, message in (
        (3, "six", "plans 6 keyframes, not 3"),
        ("auto", "six", "it plans 6"),
        (7, "any", "plans 1 to 6 keyframes, not 7"),
        (7, None, "keyframes, not 7"),
    ):
        reply = plan(both, body, keyframes=keyframes, model=model)
        (error,) = reply.json()["errors"]
        assert (reply.status_code, error["field"]) == (422, "keyframes")
        assert message in error["message"]
    for keyframes in ("few", 2.5, True):
        assert plan(both, body, keyframes=keyframes).status_code == 422


def test_fewer_keyframes_leave_room_for_more_samples(both: TestClient, body: dict[str, Any]) -> None:
    much = {"model": "any", "samples": 30_000, "iterations": 1}
    refused = plan(both, body, keyframes="auto", **much)
    assert refused.json()["type"] == "urn:waymark:problem:too-much-work"
    assert plan(both, body, keyframes=1, **much).status_code == 200


def test_models_say_how_many_keyframes_they_plan(both: TestClient) -> None:
    models = {model["name"]: model for model in both.get("/v1/models").json()["models"]}
    assert models["six"]["limits"]["keyframes"] == {"min": 6, "max": 6}
    assert models["any"]["limits"]["keyframes"] == {"min": 1, "max": 6}
    assert [models[name]["chooses_keyframes"] for name in ("six", "any")] == [False, True]
