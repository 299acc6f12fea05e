"""Bad requests for actions: a problem that names what would be right."""

import json
import math
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from server.http.pictures import to_base64
from server.plans.task import with_square
from world_models.segmenter import PUCK_GOAL

SIZES = "tasks and their action sizes: cartpole-balance 1, cheetah-run 6"


def frame(size: int = 64) -> str:
    return to_base64(np.full((size, size, 3), 90, np.uint8))


PUCK = to_base64(with_square(np.zeros((64, 64, 3), np.uint8), PUCK_GOAL.segmenter))
PUSH: dict[str, Any] = {
    "frames": [frame(), frame()],
    "past_actions": [[0.5, 0.5]],
    "subgoal": PUCK,
    "candidates": 4,
    "iterations": 1,
    "horizon": 3,
}
REWARD: dict[str, Any] = {
    "objective": "reward",
    "task": "cartpole-balance",
    "frames": [frame(), frame()],
    "past_actions": [[0.5]],
}


def post(http: TestClient, body: dict[str, Any]) -> Any:
    """As :func:`json.dumps` writes it, NaN included."""
    given = json.dumps({key: value for key, value in body.items() if value is not ...})
    return http.post("/v1/actions", content=given, headers={"Content-Type": "application/json"})


def assert_problem(reply: Any, status: int, slug: str, sentence: str) -> None:
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    problem = reply.json()
    assert (problem["type"], problem["status"]) == (f"urn:waymark:problem:{slug}", status)
    assert sentence in problem["detail"], problem["detail"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"frames": []}, "frames: List should have at least 1 item"),
        ({"past_actions": []}, "past_actions: 2 frames have 1 actions between them, not 0."),
        ({"past_actions": [[0.5]]}, "past_actions.0: Actions of this model have 2 numbers."),
        ({"past_actions": [[0.5, 1.5]]}, "past_actions.0.1: Input should be less than or equal to 1"),
        ({"subgoal": ...}, "subgoal: Say where to go: send subgoal, or plan and index."),
        ({"index": 1}, "body: Send either subgoal, or path, or plan and one of index and step."),
        (
            {"plan": "0" * 64, "index": 1},
            "body: Send either subgoal, or path, or plan and one of index and step.",
        ),
        (
            {"subgoal": ..., "plan": "0" * 64},
            "body: Send either subgoal, or path, or plan and one of index and step.",
        ),
        (
            {"subgoal": ..., "plan": "0" * 64, "index": 0, "step": 0},
            "body: Send either subgoal, or path, or plan and one of index and step.",
        ),
        ({"path": [PUCK]}, "body: Send either subgoal, or path, or plan and one of index and step."),
        ({"subgoal": ..., "path": [PUCK]}, "path: Frames are followed with the objective keypoints alone"),
        (
            {"subgoal": ..., "plan": "0" * 64, "step": 0},
            "step: Frames are followed with the objective keypoints alone",
        ),
        ({"plan": "mine", "index": 1}, "plan: String should match pattern"),
        ({"warm_start": [[0.0, 0.0]] * 2}, "warm_start: A warm start has an action for each of the 3 steps"),
        ({"warm_start": [[0.0]] * 3}, "warm_start.0: Actions of this model have 2 numbers."),
        ({"warm_start": [[0.0, math.nan]] * 3}, "warm_start.0.1: "),
        ({"warm_start": []}, "warm_start: List should have at least 1 item"),
        ({"candidates": 1}, "candidates: Input should be greater than or equal to 2"),
        ({"horizon": 51}, "horizon: Input should be less than or equal to 50"),
        ({"seed": -1}, "seed: Input should be greater than or equal to 0"),
        (
            {"objective": "goals"},
            "objective: Input should be 'push', 'keypoints', 'reward', 'goal' or 'value'",
        ),
        ({"objective": "goal"}, "body: The objectives reward, value and goal need a task"),
        ({"task": "cartpole-balance"}, "body: The objectives reward, value and goal need a task"),
        ({"noise": 1}, "noise: Unknown field; the fields are calibration, candidates, "),
    ],
)
def test_bad_request(world_http: TestClient, change: dict[str, Any], sentence: str) -> None:
    assert_problem(post(world_http, PUSH | change), 422, "invalid-request", sentence)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"task": "walker-run"}, f"task: There is no such task here; {SIZES}."),
        ({"past_actions": [[0.5, 0.5]]}, f"past_actions.0: Actions of this task have 1 numbers; {SIZES}."),
        (
            {"subgoal": PUCK},
            "subgoal: Reward is sought without a subgoal: leave out subgoal, plan and index.",
        ),
        ({"objective": "goal"}, "subgoal: Say where to go: send subgoal, or plan and index."),
    ],
)
def test_bad_request_for_a_task(world_http: TestClient, change: dict[str, Any], sentence: str) -> None:
    assert_problem(post(world_http, REWARD | change), 422, "invalid-request", sentence)


def test_a_good_request_is_good(world_http: TestClient) -> None:
    assert post(world_http, PUSH).status_code == post(world_http, REWARD).status_code == 200


def test_pictures_that_do_not_do(world_http: TestClient) -> None:
    small = post(world_http, PUSH | {"subgoal": frame(32)})
    assert_problem(small, 422, "invalid-picture", "subgoal is 32 x 32 pixels; this model needs 64 x 64.")
    empty = post(world_http, PUSH | {"subgoal": frame()})
    assert_problem(empty, 422, "no-object", "No puck was found in the subgoal: 0 pixels have its colour")


def test_a_plan_that_is_not_known(world_http: TestClient) -> None:
    reply = post(world_http, PUSH | {"subgoal": ..., "plan": "0" * 64, "index": 0})
    assert_problem(reply, 404, "unknown-plan", "Ask for it again (the same request with the same seed")


def test_pictures_of_a_plan_of_another_size(world_http: TestClient) -> None:
    world_http.app.state.plans.of("anonymous").keep("1" * 64, np.zeros((2, 32, 32, 3), np.uint8))
    reply = post(world_http, PUSH | {"subgoal": ..., "plan": "1" * 64, "index": 0})
    assert_problem(reply, 422, "invalid-request", "plan: Pictures of this plan are 32 x 32 pixels")


def test_too_much_work(world_http: TestClient) -> None:
    reply = post(world_http, PUSH | {"candidates": 512, "iterations": 10, "horizon": 50})
    sentence = (
        "512 candidates x 10 iterations x 50 horizon = 256000 steps; one request may take 20000. Lower "
    )
    assert_problem(reply, 422, "too-much-work", f"{sentence}candidates, iterations or horizon.")


def test_models_that_cannot_act(world_http: TestClient) -> None:
    unable = post(world_http, PUSH | {"model": "tiny-dmc"})
    assert_problem(unable, 422, "wrong-model", "tiny-dmc cannot answer this; models that can: tiny-push.")
    unable = post(world_http, REWARD | {"model": "tiny-push"})
    assert_problem(unable, 422, "wrong-model", "tiny-push cannot answer this; models that can: tiny-dmc.")
    assert_problem(post(world_http, PUSH | {"model": "none"}), 404, "unknown-model", "available: tiny-push.")
