"""Bad requests for rewards, keypoints and predictions: a problem that names what would be right."""

import json
import math
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from planner.loaded import ReadyPlanner
from server.app import create_app
from server.http.pictures import to_base64
from server.models.service import ModelService
from server.settings import Settings

SIZES = "tasks and their action sizes: cartpole-balance 1, cheetah-run 6"
RANGE = "Input should be {} than or equal to {}"


def frame(size: int = 64) -> str:
    return to_base64(np.full((size, size, 3), 90, np.uint8))


REWARDS: dict[str, Any] = {
    "task": "cartpole-balance",
    "frames": [frame(), frame()],
    "past_actions": [[0.5]],
    "actions": [[[0.0], [1.0]], [[-1], [0.25]]],
}
PREDICTIONS: dict[str, Any] = {
    "frames": [frame(), frame()],
    "past_actions": [[0.5]],
    "actions": [[0.0], [1.0]],
    "render": False,
}
AGENTS = {"model": "tiny-agents", "frames": [frame(16), frame(16)], "steps": 3, "render": False}
RNN = PREDICTIONS | {"model": "tiny-rnn"}


def post(http: TestClient, path: str, body: dict[str, Any]) -> Any:
    """As :func:`json.dumps` writes it, NaN and Infinity included."""
    return http.post(f"/v1/{path}", content=json.dumps(body), headers={"Content-Type": "application/json"})


def assert_problem(reply: Any, status: int, slug: str, sentence: str) -> None:
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    problem = reply.json()
    assert (problem["type"], problem["status"]) == (f"urn:waymark:problem:{slug}", status)
    assert sentence in problem["detail"], problem["detail"]
    assert len(reply.content) < 6000


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"task": "walker-run"}, f"task: There is no such task here; {SIZES}."),
        ({"task": None}, "task: Input should be a valid string"),
        ({"actions": [[[0.0, 0.0]]]}, f"actions.0.0: Actions of this task have 1 numbers; {SIZES}."),
        ({"actions": [[[0.0], [0.0, 0.0]]]}, "actions.0.1: Actions of this task have 1 numbers"),
        ({"past_actions": [[0.0] * 6]}, "past_actions.0: Actions of this task have 1 numbers"),
        ({"task": "cheetah-run"}, f"Actions of this task have 6 numbers; {SIZES}."),
        ({"actions": [[[0.0], [math.nan]]]}, f"actions.0.1.0: {RANGE.format('less', 1)}"),
        ({"actions": [[[math.inf]]]}, f"actions.0.0.0: {RANGE.format('less', 1)}"),
        ({"actions": [[[-math.inf]]]}, f"actions.0.0.0: {RANGE.format('greater', -1)}"),
        ({"actions": [[[-1.01]]]}, f"actions.0.0.0: {RANGE.format('greater', -1)}"),
        ({"past_actions": [[math.nan]]}, f"past_actions.0.0: {RANGE.format('less', 1)}"),
        ({"actions": [[["0"]]]}, "actions.0.0.0: Input should be a valid number"),
        ({"actions": [[[True]]]}, "actions.0.0.0: Input should be a valid number"),
        ({"actions": [[[0.0]], [[0.0], [0.0]]]}, "must have the same number of steps"),
        ({"actions": []}, "actions: List should have at least 1 item"),
        ({"actions": [[]]}, "actions.0: List should have at least 1 item"),
        ({"actions": [[[]]]}, "actions.0.0: List should have at least 1 item"),
        ({"actions": [[[0.0]]] * 513}, "actions: List should have at most 512 items"),
        ({"actions": [[[0.0]] * 51]}, "actions.0: List should have at most 50 items"),
        ({"past_actions": []}, "past_actions: 2 frames have 1 actions between them, not 0."),
        ({"past_actions": [[0.0]] * 2}, "past_actions: 2 frames have 1 actions between them, not 2."),
        ({"frames": []}, "frames: List should have at least 1 item"),
        ({"frames": [frame()] * 21}, "frames: List should have at most 20 items"),
        ({"frames": ["%", frame()]}, "frames.0: This is not base64"),
        ({"samples": 2}, "samples: Unknown field; the fields are actions, deadline_ms, frames, model, "),
        ({"deadline_ms": 60_001}, "deadline_ms: This server allows up to 60000."),
    ],
)
def test_bad_reward_request(world_http: TestClient, change: dict[str, Any], sentence: str) -> None:
    assert_problem(post(world_http, "rewards", REWARDS | change), 422, "invalid-request", sentence)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (PREDICTIONS | {"seed": 3}, "A seed draws samples: send samples too, or no seed."),
        (PREDICTIONS | {"samples": 51}, "samples: Input should be less than or equal to 50"),
        (PREDICTIONS | {"steps": 2}, "steps: This model takes actions and predicts one frame for each"),
        (PREDICTIONS | {"actions": None}, "actions: This model needs the actions from the last frame on."),
        (
            PREDICTIONS | {"actions": [[0.0] * 7]},
            f"actions: Actions of this model have 1 to 6 numbers; {SIZES}",
        ),
        (PREDICTIONS | {"actions": [[0.0], [0.0, 0.0]]}, "actions.1: All actions of a request must have as"),
        (PREDICTIONS | {"past_actions": [[0.0, 0.0]]}, "past_actions.0: All actions of a request must have"),
        (PREDICTIONS | {"past_actions": []}, "past_actions: 2 frames have 1 actions between them, not 0."),
        (PREDICTIONS | {"actions": [[math.nan]]}, f"actions.0.0: {RANGE.format('less', 1)}"),
        (RNN | {"actions": [[0.0] * 3]}, "actions: Actions of this model have 1 to 2 numbers."),
        (RNN | {"samples": 2}, "samples: This model is deterministic"),
        (AGENTS | {"steps": None}, "steps: Say how many frames to predict: 1 to 50."),
        (AGENTS | {"actions": [[0.0]]}, "actions: This model takes no actions; say how many frames"),
        (AGENTS | {"past_actions": [[0.0]]}, "past_actions: This model takes no actions"),
    ],
)
def test_bad_prediction_request(world_http: TestClient, body: dict[str, Any], sentence: str) -> None:
    assert_problem(post(world_http, "predictions", body), 422, "invalid-request", sentence)


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        ({"dx": 1.0, "dy": 1.0}, "edits.0.keypoint: Field required"),
        ({"keypoint": 4, "dx": 1.0, "dy": 1.0}, "edits.0.keypoint: This model has the keypoints 0 to 3."),
        (
            {"keypoint": 0, "frame": 2, "x": 1.0, "y": 1.0},
            "edits.0.frame: This request has the frames 0 to 1.",
        ),
        ({"keypoint": 0, "dx": 1.0}, "edits.0: Send either dx and dy or x and y."),
        ({"keypoint": 0, "dx": 1.0, "dy": 1.0, "x": 1.0}, "edits.0: Send either dx and dy or x and y."),
        ({"keypoint": 0, "x": 1.0, "y": math.nan}, f"edits.0.y: {RANGE.format('less', 1000)}"),
        ({"keypoint": 0, "x": 1e9, "y": 1.0}, f"edits.0.x: {RANGE.format('less', 1000)}"),
        ({"keypoint": 0, "x": 1.0, "y": 1.0, "z": 1.0}, "edits.0.z: Unknown field."),
    ],
)
def test_bad_edit(world_http: TestClient, edit: dict[str, Any], sentence: str) -> None:
    reply = post(world_http, "predictions", PREDICTIONS | {"edits": [edit]})
    assert_problem(reply, 422, "invalid-request", sentence)


@pytest.mark.parametrize(
    ("path", "body"), [("rewards", REWARDS), ("predictions", PREDICTIONS), ("keypoints", {"frames": []})]
)
def test_picture_of_another_size(world_http: TestClient, path: str, body: dict[str, Any]) -> None:
    reply = post(world_http, path, body | {"frames": [frame(), frame(32)]})
    sentence = "frames.1 is 32 x 32 pixels; this model needs 64 x 64."
    assert_problem(reply, 422, "invalid-picture", sentence)


def test_work_budgets(world_http: TestClient) -> None:
    rewards = post(world_http, "rewards", REWARDS | {"actions": [[[0.0]] * 50] * 401})
    assert_problem(rewards, 422, "too-much-work", "401 sequences x 50 steps = 20050 rewards")
    frames = post(world_http, "predictions", PREDICTIONS | {"actions": [[0.0]] * 50, "samples": 21})
    assert_problem(frames, 422, "too-much-work", "21 samples x 50 steps = 1050 frames")


def test_a_large_body_of_nonsense_gets_a_short_answer(world_http: TestClient) -> None:
    actions = [[[math.nan] * 6] * 50] * 512
    reply = post(world_http, "rewards", REWARDS | {"task": "cheetah-run", "actions": actions})
    assert_problem(reply, 422, "invalid-request", "actions.0.0.0: ")
    unknown = REWARDS | {f"field{index}": 0 for index in range(1_000)}
    assert_problem(post(world_http, "rewards", unknown), 422, "invalid-request", "Unknown field")


def test_only_json_is_read(world_http: TestClient) -> None:
    for path in ("rewards", "keypoints", "predictions"):
        reply = world_http.post(f"/v1/{path}", files={"frames": ("f", b"x")})
        assert_problem(reply, 415, "unsupported-media-type", "Send application/json.")


def test_models_that_cannot_answer(
    worlds: ModelService, world_http: TestClient, ready_planner: ReadyPlanner, body: dict[str, Any]
) -> None:
    unknown = post(world_http, "rewards", REWARDS | {"model": "none"})
    assert_problem(unknown, 404, "unknown-model", "available: tiny-dmc.")
    unable = post(world_http, "rewards", REWARDS | {"model": "tiny-agents"})
    assert_problem(unable, 422, "wrong-model", "tiny-agents cannot answer this; models that can: tiny-dmc.")
    assert_problem(post(world_http, "plans", body), 404, "unknown-model", "available: none.")
    models = worlds.models | {"toy": ready_planner}
    service = ModelService(Settings(models=tuple(models)), lambda name, device: models[name])
    with TestClient(create_app(service.settings, service), base_url="http://localhost") as http:
        for path, order, able in (
            ("plans", body | {"model": "tiny-rnn"}, "tiny-rnn cannot answer this; models that can: toy."),
            (
                "keypoints",
                {"frames": [frame()], "model": "toy"},
                "can: tiny-dmc, tiny-agents, tiny-rnn, tiny-push.",
            ),
        ):
            assert_problem(post(http, path, order), 422, "wrong-model", able)
        assert post(http, "plans", body).json()["model"]["name"] == "toy"
        kinds = [model["kind"] for model in http.get("/v1/models").json()["models"]]
        assert kinds == ["world-model"] * 4 + ["planner"]


def test_deadline_that_passes_in_the_work(world_http: TestClient) -> None:
    body = REWARDS | {"actions": [[[0.0]] * 50] * 400, "deadline_ms": 1}
    assert_problem(post(world_http, "rewards", body), 503, "deadline-passed", "The deadline passed ")


def test_no_new_work_while_shutting_down(worlds: ModelService) -> None:
    models = dict(worlds.models)
    service = ModelService(Settings(models=tuple(models)), lambda name, device: models[name])
    with TestClient(create_app(service.settings, service), base_url="http://localhost") as http:
        service.drain()
        assert_problem(post(http, "rewards", REWARDS), 503, "shutting-down", "takes no new requests")
