"""From pictures that somebody sends to a puck that is delivered, with the weights that ship."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from planner.loading import load_ready
from server.app import create_app
from server.models.service import ModelService
from server.settings import Settings


@pytest.fixture(scope="module")
def shipped() -> Iterator[TestClient]:
    service = ModelService(Settings(models=("keyin-push", "struct-vrnn-push"), threads=1), load_ready)
    with TestClient(create_app(service.settings, service), base_url="http://localhost") as http:
        yield http


@pytest.mark.slow
@pytest.mark.parametrize("servo", ["learned", "simulator"])
def test_pucks_in_pictures_are_delivered(shipped: TestClient, servo: str) -> None:
    delivered = 0
    for seed in range(5):
        scene = shipped.post("/v1/scenes", json={"environment": "push", "seed": seed}).json()
        pictures = {"start": scene["start"], "goal": scene["goal"]}
        plan = shipped.post("/v1/plans", json=pictures | {"seed": seed, "deadline_ms": 60_000}).json()
        order = {"environment": "push", "plan": plan["id"], "servo": servo, "episode_seed": seed}
        reply = shipped.post("/v1/episodes", json=order | pictures | {"deadline_ms": 60_000}).json()
        assert reply["stop_reason"] in ("goal", "steps") and reply["initial_distance"] > 0.4
        delivered += reply["success"]
    assert delivered >= 4
