"""What the service says of itself: its models, and its API with examples that work."""

import json

from fastapi.testclient import TestClient

from server.models.service import ModelService


def test_models_say_what_they_are(world_http: TestClient, worlds: ModelService) -> None:
    models = {model["name"]: model for model in world_http.get("/v1/models").json()["models"]}
    assert {model["kind"] for model in models.values()} == {"world-model"}
    first = models["tiny-dmc"]
    assert (first["image_size"], first["keypoints"], first["actions"]) == (64, 4, 6)
    assert [(task["name"], task["actions"]) for task in first["tasks"]] == [
        ("cartpole-balance", 1),
        ("cheetah-run", 6),
    ]
    assert first["tasks"][0]["reward_head"] == worlds.models["tiny-dmc"].heads["cartpole-balance"].sha256
    assert first["limits"]["sequences"] == {"min": 1, "max": 512}
    assert (models["tiny-agents"]["actions"], models["tiny-agents"]["tasks"]) == (0, [])
    assert not models["tiny-rnn"]["stochastic"]


def test_every_example_of_the_description_works(world_http: TestClient) -> None:
    document = world_http.get("/openapi.json").json()
    for path in ("/v1/rewards", "/v1/keypoints", "/v1/predictions", "/v1/actions"):
        operation = document["paths"][path]["post"]
        example = operation["requestBody"]["content"]["application/json"]["example"]
        assert world_http.post(path, json=example).is_success
        assert {"200", "401", "404", "413", "415", "422", "500", "503"} <= set(operation["responses"])
    assert (
        "example" not in document["paths"]["/v1/plans"]["post"]["requestBody"]["content"]["application/json"]
    )
    for name in (part.split('"')[0] for part in json.dumps(document).split("#/components/schemas/")[1:]):
        assert name in document["components"]["schemas"]


def test_the_description_is_there_before_it_is_asked_for(http: TestClient) -> None:
    assert http.app.openapi_schema == http.get("/openapi.json").json()
