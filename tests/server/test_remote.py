"""An episode driven over HTTP is the one driven in process, action for action and bit for bit."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from envs.push.env import PushEnv
from envs.push.episodes import draw_episodes
from envs.push.scene import Variation
from planner.episode import EpisodeConfig, run_episode
from planner.evaluate import Push, evaluate
from planner.evaluation.worker import Worker
from planner.loaded import ReadyPlanner
from planner.loading import PUCK_SEGMENTER, learned_servo
from planner.search.cem import CemConfig
from planner.search.hierarchy import HierarchyConfig
from planner.search.servo import ServoConfig, ServoStep
from planner.settings import PAPER, Settings
from planner.subgoals import keyin_subgoals
from server import remote
from server.client import Client, ServerProblem
from server.models.service import ModelService
from server.remote import RemoteController, check_settings, find_model, remote_subgoals
from server.schemas import Problem
from server.settings import Settings as ServerSettings
from world_models.interface import Context

STEPS = 6
SMALL = ServoConfig(horizon=4, cem=ServoConfig().cem.model_copy(update={"candidates": 8}))


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """As many as the server has: sums depend on how work is split."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def remote_url(worlds: ModelService, ready_planner: ReadyPlanner, serve: Callable[..., Any]) -> Iterator[str]:
    models = worlds.models | {"toy": ready_planner}
    service = ModelService(ServerSettings(models=tuple(models)), lambda name, device: models[name])
    with serve(service) as url:
        yield url


class Noting:
    """A controller that notes the steps of another one."""

    def __init__(self, controller: Any) -> None:
        self.controller, self.steps = controller, list[ServoStep]()

    def act(self, *args: Any) -> ServoStep:
        self.steps.append(self.controller.act(*args))
        return self.steps[-1]


def test_same_episode_in_process_and_over_http(
    remote_url: str, world_folders: dict[str, Path], ready_planner: ReadyPlanner
) -> None:
    scene = replace(draw_episodes(4, 1).scenes[0], steps=STEPS)
    config = EpisodeConfig(max_steps_per_subgoal=2, replan="missed")
    search = CemConfig(candidates=30, iterations=2)
    planner = ready_planner.planner._planner  # the fixture puts a gate before it
    planner.config = HierarchyConfig(cem=search)
    env = PushEnv()

    def drive(subgoals: Any, controller: Any) -> tuple[Any, list[ServoStep]]:
        noting = Noting(controller)
        return run_episode(env, scene, subgoals, noting, PUCK_SEGMENTER, config, seed=8), noting.steps

    here, steps = drive(keyin_subgoals(planner), learned_servo(str(world_folders["tiny-push"]), SMALL))
    with Client(remote_url) as client:
        remote = RemoteController(client, "tiny-push", SMALL)
        there, asked = drive(remote_subgoals(client, "toy", search), remote)
    env.close()
    assert here.steps == len(steps) == len(asked) == STEPS
    for one, two in zip(steps, asked, strict=True):
        for part in ("action", "warm_start", "cost", "decisions"):
            assert torch.equal(getattr(one, part), getattr(two, part)), part
    assert len(here.plans) == len(there.plans) > 1 and here.plans == there.plans
    assert here.final_puck == there.final_puck
    assert all(np.array_equal(a, b) for a, b in zip(here.frames, there.frames, strict=True))


def test_evaluation_over_http_has_the_same_outcomes(
    remote_url: str, world_folders: dict[str, Path], tmp_path: Path
) -> None:
    here = Push(planners="flat", servo="learned", compare=False, learned=str(world_folders["tiny-push"]))
    there = replace(here, learned="tiny-push", server=remote_url)
    assert here.digests() == there.digests()
    drawn = draw_episodes(4, 1)
    episodes = replace(drawn, scenes=(replace(drawn.scenes[0], steps=STEPS),))
    settings = Settings(servo=SMALL)
    with Client(remote_url) as client:
        one, two = (
            Worker(episodes, run.weights(), settings, Variation(), 3, "cpu", None, service).episode(
                "flat", "learned", 0
            )
            for run, service in ((here, None), (there, client))
        )
    assert len(one.pop("step_seconds")) == len(two.pop("step_seconds")) == STEPS
    assert one.pop("plan_seconds") and two.pop("plan_seconds")
    assert one == two and one["model_steps"] > 0


def test_models_that_the_server_does_not_have(remote_url: str) -> None:
    with Client(remote_url) as client:
        assert find_model(client, "toy", "planner").keyframes == 6
        assert find_model(client, "tiny-push", "world-model").actions == 2
        with pytest.raises(ValueError, match="the server has no planner 'keyin-push'; it has toy"):
            find_model(client, "keyin-push", "planner")
        with pytest.raises(ValueError, match="world-model that pushes called 'tiny-dmc'; it has tiny-push"):
            find_model(client, "tiny-dmc", "world-model")


class Answering:
    """A service that gives these answers in turn and raises those that are exceptions."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)

    def models(self) -> Any:
        if isinstance(answer := self.answers.pop(0), Exception):
            raise answer
        return answer


def busy(retry_after: float) -> ServerProblem:
    problem = Problem(type="urn:busy", title="Busy", status=503, detail="come back", request_id="1")
    return ServerProblem(problem, retry_after)


def test_busy_servers_are_asked_again_when_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    slept = list[float]()
    monkeypatch.setattr(time, "sleep", slept.append)
    model = SimpleNamespace(name="toy", kind="planner")
    service = Answering(busy(2.0), busy(3.0), [model])
    assert find_model(service, "toy", "planner") is model
    assert slept == [2.0, 3.0]
    monkeypatch.setattr(remote, "PATIENCE", 1.0)
    with pytest.raises(ValueError, match="the server refuses: Busy: come back"):
        find_model(Answering(busy(2.0)), "toy", "planner")


def test_refusals_and_lost_connections_are_told_in_a_sentence(
    remote_url: str, ready_planner: ReadyPlanner
) -> None:
    picture = torch.zeros(1, 3, 64, 64)
    with Client(remote_url) as client:
        subgoals = remote_subgoals(client, "keyin-push", CemConfig(candidates=30, iterations=2))
        with pytest.raises(ValueError, match=r"refuses: There is no such model: .*available: toy"):
            subgoals(picture, picture, torch.Generator())
    with Client("http://127.0.0.1:9") as client:
        controller = RemoteController(client, "tiny-push", SMALL)
        seen = Context(picture[None], torch.zeros(1, 0, 2))
        with pytest.raises(ValueError, match="the server does not answer: "):
            controller.act(seen, picture, None, torch.Generator())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"planners": "tap"}, "servers do not plan as tap does"),
        ({"settings": PAPER}, "of its servo a server can be told horizon"),
        (
            {"settings": Settings(hierarchy=HierarchyConfig(shortlist=1))},
            "of its planner a server",
        ),
        (
            {
                "planners": "flat",
                "servo": "learned",
                "compare": False,
                "settings": Settings(episode=EpisodeConfig(replan="surprised")),
            },
            "replan never, missed or always",
        ),
        ({}, "no server is ready at http://127.0.0.1:9; start one"),
    ],
)
def test_what_a_server_cannot_do_is_said_before_the_first_episode(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    run = Push(planners="keyin", episodes=1, workers=1, server="http://127.0.0.1:9", out=tmp_path / "r.json")
    with pytest.raises(ValueError, match=words):
        evaluate(replace(run, **change))
    assert not list(tmp_path.iterdir())


def test_search_settings_that_a_server_can_be_told_are_fine() -> None:
    check_settings(Settings(servo=SMALL, hierarchy=HierarchyConfig(keyframes=3, cem=CemConfig(candidates=9))))
