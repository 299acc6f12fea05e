"""The client against the service on a real socket."""

import copy
import socket
from collections.abc import Callable
from typing import Any

import httpx2
import numpy as np
import pytest

from server.client import Client, ServerProblem
from server.models.service import ModelService
from server.predictions.schemas import Edit
from server.settings import Settings

START, GOAL = (12.0, 50.0), (47.0, 16.0)


def test_plan_comes_with_pictures(url: str, toy_bytes: Callable[..., Any]) -> None:
    with Client(url) as client:
        assert client.ready()
        assert [model.name for model in client.models()] == ["toy"]
        first = client.plan(
            toy_bytes(*START), toy_bytes(*GOAL), seed=3, samples=60, iterations=2, deadline_ms=60_000
        )
        second = client.plan(toy_bytes(*START), toy_bytes(*GOAL), seed=3, samples=60, iterations=2)
    assert first.images.shape == (6, 64, 64, 3) and first.images.dtype == np.uint8
    assert np.array_equal(first.images, second.images)
    assert first.response.digest == second.response.digest
    assert (first.response.samples, first.response.iterations_run) == (60, 2)


def test_alternatives_come_with_pictures(url: str, toy_bytes: Callable[..., Any]) -> None:
    with Client(url) as client:
        reply = client.plan(toy_bytes(*START), toy_bytes(*GOAL), seed=7, alternatives=2)
    assert [other.shape for other in reply.alternatives] == [reply.images.shape] * 2
    assert not np.array_equal(reply.alternatives[0], reply.images)


def test_problems_become_exceptions(url: str, toy_bytes: Callable[..., Any]) -> None:
    with Client(url) as client, pytest.raises(ServerProblem, match="available: toy") as caught:
        client.plan(toy_bytes(*START), toy_bytes(*GOAL), model="none")
    assert (caught.value.problem.status, caught.value.retry_after) == (404, None)
    copied = copy.copy(caught.value)  # made as worker processes hand exceptions on
    assert (str(copied), copied.problem) == (str(caught.value), caught.value.problem)


def test_retry_after_is_passed_on(url: str, toy_bytes: Callable[..., Any], service: ModelService) -> None:
    service.drain()
    with Client(url) as client:
        assert not client.ready()
        with pytest.raises(ServerProblem) as caught:
            client.plan(toy_bytes(*START), toy_bytes(*GOAL))
    assert caught.value.retry_after == 5


def test_nobody_there_is_not_ready(toy_bytes: Callable[..., Any]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with Client(f"http://127.0.0.1:{taken.getsockname()[1]}") as client:
            assert not client.ready()
            with pytest.raises(httpx2.ConnectError):
                client.plan(toy_bytes(*START), toy_bytes(*GOAL))


def test_work_stops_when_the_client_leaves(
    url: str,
    body: dict[str, Any],
    gated: Any,
    service: ModelService,
    asked: Callable[..., Any],
    eventually: Callable[..., None],
) -> None:
    gated.rest_seconds = 0.3
    plans = gated.plans
    with asked(url, body | {"samples": 20, "iterations": 200}):
        eventually(lambda: gated.plans == plans + 1)
    # Two hundred iterations would rest for a minute; the engine is free long before.
    eventually(lambda: service.engine.unfinished == 0)


def test_waiting_plan_is_dropped_when_its_client_leaves(
    url: str,
    body: dict[str, Any],
    gated: Any,
    service: ModelService,
    asked: Callable[..., Any],
    eventually: Callable[..., None],
) -> None:
    gated.gate.clear()
    plans = gated.plans
    with asked(url, body):
        eventually(lambda: gated.plans == plans + 1)
    for _ in range(3):
        # With two places, the last would be refused if those who left kept theirs.
        with asked(url, body):
            eventually(lambda: service.engine.unfinished == 2)
        eventually(lambda: service.engine.unfinished == 1)
    gated.gate.set()
    assert httpx2.post(f"{url}/v1/plans", json=body, timeout=20).status_code == 200
    assert gated.plans == plans + 2


def test_world_models_answer_with_arrays(worlds: ModelService, serve: Callable[..., Any]) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    past, actions = np.full((2, 6), 0.5), np.zeros((4, 5, 6))
    service = ModelService(Settings(models=tuple(worlds.models)), lambda name, device: worlds.models[name])
    with serve(service) as url, Client(url) as client:
        assert [model.kind for model in client.models()] == ["world-model"] * 4
        rewards = client.rewards("cheetah-run", frames, actions, past_actions=past)
        assert rewards.rewards.shape == (4, 5) and rewards.rewards.dtype == np.float32
        found = client.keypoints(frames, model="tiny-dmc")
        edit = Edit(keypoint=1, frame=2, dx=2.0, dy=0.0)
        drawn = client.predictions(
            frames, past_actions=past, actions=actions[0], samples=2, seed=1, edits=[edit]
        )
        mean = client.predictions(frames[:1, ::4, ::4], steps=3, model="tiny-agents", render=False)
        acted = client.act(
            frames, task="cheetah-run", objective="reward", past_actions=past, horizon=3, render=True
        )
        with pytest.raises(ServerProblem, match="tasks and their action sizes: cartpole-balance 1"):
            client.rewards("none", frames, actions, past_actions=past)
    assert drawn.context - found.keypoints == pytest.approx(np.eye(36)[27].reshape(3, 4, 3) * 2, abs=1e-4)
    assert drawn.keypoints.shape == (2, 5, 4, 3)
    assert drawn.images is not None and drawn.images.shape == (2, 5, 64, 64, 3)
    assert acted.action.shape == (6,) and acted.warm_start.shape == acted.actions.shape == (3, 6)
    assert acted.images is not None and acted.images.shape == (3, 64, 64, 3)
    assert mean.response.mean and mean.images is None and mean.keypoints.shape == (1, 3, 4, 3)
