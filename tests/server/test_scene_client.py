"""Simulated worlds asked for from Python: arrays in and out."""

from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from server.scene_client import SceneCalls
from server.service import ModelService


class Calls(SceneCalls):
    """Calls of an application in process."""

    def __init__(self, http: TestClient) -> None:
        self._http = http

    def _post(self, path: str, response: Any, **fields: Any) -> Any:
        body = {name: value for name, value in fields.items() if value is not None}
        return response.model_validate_json(self._http.post(path, json=body).raise_for_status().content)

    def _get(self, path: str, response: Any) -> Any:
        return response.model_validate_json(self._http.get(path).content)


@pytest.fixture
def calls(world_http: TestClient) -> Calls:
    return Calls(world_http)


def test_worlds_come_as_arrays(calls: Calls) -> None:
    assert "push" in [environment.name for environment in calls.environments()]
    scene = calls.scene(seed=3)
    assert scene.start.shape == scene.goal.shape == (64, 64, 3) and scene.response.seed == 3
    clip = calls.clip("cheetah-run", 3, seed=2)
    assert (clip.frames.shape, clip.actions.shape, clip.rewards.shape) == ((4, 64, 64, 3), (3, 6), (3,))


def test_an_episode_goes_through_a_plan_from_arrays(worlds: ModelService, calls: Calls) -> None:
    scene = calls.scene(seed=3)
    subgoals = np.stack([scene.start, scene.goal])
    worlds.plans.keep("ef" * 32, subgoals)
    pushed = calls.episode(start=scene.start, goal=scene.goal, plan="ef" * 32, servo="simulator", steps=2)
    assert pushed.frames.shape == (3, 64, 64, 3) and pushed.actions.shape == (2, 2)
    assert np.array_equal(pushed.subgoals, subgoals) and pushed.response.stop_reason == "steps"
    earned = calls.episode("cartpole-balance", seed=1, episode_seed=1, steps=2)
    assert earned.frames.shape == (3, 64, 64, 3) and len(earned.subgoals) == 0
