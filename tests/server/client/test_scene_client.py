"""Simulated worlds asked for from Python: arrays in and out."""

from collections.abc import Iterator

import numpy as np
import pytest
from fastapi.testclient import TestClient

from server.client import Client, ServerProblem


@pytest.fixture
def calls(world_http: TestClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """A client of the application in process."""
    with Client() as client:
        monkeypatch.setattr(client._http, "get", world_http.get)
        monkeypatch.setattr(client._http, "post", world_http.post)
        yield client


def test_worlds_come_as_arrays(calls: Client) -> None:
    assert "push" in [environment.name for environment in calls.environments()]
    scene = calls.scene(seed=3)
    assert scene.start.shape == scene.goal.shape == (64, 64, 3) and scene.response.seed == 3
    read = calls.scene(start=scene.start, goal=scene.goal)
    assert read.response.seed is None and len(read.response.layout.walls) == len(scene.response.layout.walls)
    clip = calls.clip("cheetah-run", 3, seed=2)
    assert (clip.frames.shape, clip.actions.shape, clip.rewards.shape) == ((4, 64, 64, 3), (3, 6), (3,))


def test_an_episode_goes_through_a_plan_from_arrays(world_http: TestClient, calls: Client) -> None:
    scene = calls.scene(seed=3)
    subgoals = np.stack([scene.start, scene.goal])
    world_http.app.state.plans.of("anonymous").keep("ef" * 32, subgoals)
    pushed = calls.episode(start=scene.start, goal=scene.goal, plan="ef" * 32, servo="simulator", steps=2)
    assert pushed.frames.shape == (3, 64, 64, 3) and pushed.actions.shape == (2, 2)
    assert np.array_equal(pushed.subgoals, subgoals) and pushed.response.stop_reason == "steps"
    earned = calls.episode("cartpole-balance", seed=1, episode_seed=1, steps=2)
    assert earned.frames.shape == (3, 64, 64, 3) and len(earned.subgoals) == 0


def test_what_is_refused_is_raised(calls: Client) -> None:
    with pytest.raises(ServerProblem, match="no such environment") as caught:
        calls.scene("chess")
    assert caught.value.problem.status == 404
