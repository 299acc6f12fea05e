"""Whether the server lives and is ready, in its own words and in those of the Open Inference Protocol."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from server.app import create_app
from server.models.service import ModelService


@pytest.fixture
def cold(service: ModelService) -> TestClient:
    """The service before anything is loaded."""
    app = create_app(service.settings, service)
    return TestClient(app, base_url="http://localhost", raise_server_exceptions=False)


def test_readiness_tells_its_checks_when_asked(http: TestClient, service: ModelService) -> None:
    assert http.get("/readyz").json() == {"status": "ready"}
    for query in ("verbose", "verbose=", "verbose=1"):
        checks = http.get(f"/readyz?{query}").json()["checks"]
        seconds = checks.pop("warm_up")
        assert checks == {
            "engine_alive": True,
            "draining": False,
            "models": [{"name": "toy", "version": "1", "sha256": "ab" * 32}],
            "unfinished": 0,
            "queue_size": 2,
        }
        assert [entry["model"] for entry in seconds] == ["toy"] and seconds[0]["seconds"] > 0
    service.drain()
    reply = http.get("/readyz?verbose")
    assert (reply.status_code, reply.headers["Retry-After"]) == (503, "1")
    assert reply.json()["type"] == "urn:waymark:problem:not-ready" and reply.json()["checks"]["draining"]
    assert "checks" not in http.get("/readyz").json()


def test_before_the_start_it_lives_but_is_not_ready(cold: TestClient) -> None:
    assert cold.get("/livez").json() == {"status": "alive"}
    assert cold.get("/v2/health/live").json() == {"live": True}
    checks = cold.get("/readyz?verbose").json()["checks"]
    assert (checks["engine_alive"], checks["models"], checks["warm_up"]) == (False, [], [])
    for path in ("/v2/health/ready", "/readyz"):
        assert (cold.get(path).status_code, cold.get(path).json()["status"]) == (503, 503)


def test_open_inference_protocol_of_a_planner(http: TestClient) -> None:
    assert http.get("/v2").json() == {"name": "waymark", "version": "1", "extensions": []}
    assert http.get("/v2/health/ready").json() == {"ready": True}
    for path in ("/v2/models/toy", "/v2/models/toy/versions/1"):
        assert http.get(f"{path}/ready").json() == {"name": "toy", "ready": True}
        told = http.get(path).json()
        assert (told["name"], told["versions"], told["platform"]) == ("toy", ["1"], "waymark")
        assert told["inputs"] == [
            {"name": "start", "datatype": "UINT8", "shape": [64, 64, 3]},
            {"name": "goal", "datatype": "UINT8", "shape": [64, 64, 3]},
        ]
        assert [output["name"] for output in told["outputs"]] == ["subgoals", "cost"]


@pytest.mark.parametrize("path", ["/v2/models/other", "/v2/models/toy/versions/2"])
def test_unknown_models_and_versions(http: TestClient, path: str) -> None:
    for address in (path, f"{path}/ready"):
        reply = http.get(address)
        assert (reply.status_code, reply.json()["type"]) == (404, "urn:waymark:problem:unknown-model")
        assert reply.json()["detail"] == "There is no such model here; available: toy of version 1."


def test_a_model_is_not_ready_while_the_server_is_not(http: TestClient, service: ModelService) -> None:
    service.drain()
    assert http.get("/v2/models/toy/ready").status_code == 503
    assert http.get("/v2/models/toy").status_code == 200


def test_open_inference_protocol_of_world_models(world_http: TestClient) -> None:
    told = world_http.get("/v2/models/tiny-dmc").json()
    assert [(tensor["name"], tensor["shape"]) for tensor in told["inputs"]] == [
        ("frames", [-1, 64, 64, 3]),
        ("past_actions", [-1, 6]),
        ("actions", [-1, 6]),
    ]
    assert [(tensor["name"], tensor["shape"]) for tensor in told["outputs"]] == [
        ("keypoints", [-1, 4, 3]),
        ("images", [-1, 64, 64, 3]),
        ("rewards", [-1]),
    ]
    still = world_http.get("/v2/models/tiny-agents").json()
    assert [tensor["name"] for tensor in still["inputs"]] == ["frames"]
    assert [tensor["name"] for tensor in still["outputs"]] == ["keypoints", "images"]


def test_open_inference_protocol_of_models_of_videos(video_http: TestClient) -> None:
    names = {}
    for model in ("tiny-lp", "tiny-fp", "tiny-kalman"):
        told = video_http.get(f"/v2/models/{model}").json()
        names[model] = [[tensor["name"] for tensor in told[side]] for side in ("inputs", "outputs")]
    assert names == {
        "tiny-lp": [["frames"], ["images"]],
        "tiny-fp": [["frames", "past_actions", "actions"], ["images"]],
        "tiny-kalman": [["frames"], ["images", "means", "covariances"]],
    }


def test_health_is_described(http: TestClient) -> None:
    paths: dict[str, Any] = http.get("/openapi.json").json()["paths"]
    assert set(paths["/readyz"]["get"]["responses"]) >= {"200", "500", "503"}
    assert set(paths["/v2/models/{name}/ready"]["get"]["responses"]) >= {"200", "404", "503"}
    assert "text/plain" in paths["/metrics"]["get"]["responses"]["200"]["content"]
