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

from envs.push.episodes import draw_episodes
from envs.push.world import PushWorld
from planner.episode import Outcome, run_episode
from planner.evaluation.push import Push
from planner.evaluation.run import evaluate
from planner.evaluation.settings import PAPER, Settings
from planner.evaluation.worker import Worker
from planner.goals import make_goal
from planner.loaded import ReadyPlanner
from planner.loading import load_world_model
from planner.low_levels.learned import control_by_place
from planner.low_levels.low_level import LowLevel, Request
from planner.pursuit import Actor, EpisodeConfig, own_seeds
from planner.search.cem import CemConfig
from planner.search.hierarchy import HierarchyConfig
from planner.search.servo import Acting, ServoConfig, ServoStep
from planner.subgoals import keyin_subgoals
from server import remote
from server.client import Client, ServerProblem
from server.evaluate import RemotePush, client_of
from server.models.service import ModelService
from server.remote import RemoteServo, check_settings, find_model, remote_subgoals
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


class Noting(LowLevel):
    """Notes the steps of another low level."""

    def __init__(self, low_level: LowLevel) -> None:
        self.low_level, self.steps = low_level, list[ServoStep]()

    def acting(self, request: Request) -> Acting:
        self.steps.append((yield from self.low_level.acting(request)))
        return self.steps[-1]


def test_same_episode_in_process_and_over_http(
    remote_url: str, world_folders: dict[str, Path], ready_planner: ReadyPlanner
) -> None:
    scene = replace(draw_episodes(4, 1).starts[0], steps=STEPS)
    config = EpisodeConfig(max_steps_per_subgoal=2, replan="missed")
    search = CemConfig(candidates=30, iterations=2)
    planner = ready_planner.planner._planner  # the fixture puts a gate before it
    planner.config = HierarchyConfig(cem=search)
    world = PushWorld()

    def drive(subgoals: Any, low_level: LowLevel) -> tuple[Outcome, list[ServoStep]]:
        noting = Noting(low_level)
        actor = Actor(noting, subgoals, make_goal(world.goal), config)
        return run_episode(world, scene, actor, own_seeds(8)), noting.steps

    ready = load_world_model(str(world_folders["tiny-push"]))
    here, steps = drive(keyin_subgoals(planner), control_by_place(ready, SMALL))
    with Client(remote_url) as client:
        remote = RemoteServo(client, "tiny-push", SMALL)
        there, asked = drive(remote_subgoals(client, "toy", search), remote)
    world.close()
    assert here.steps == len(steps) == len(asked) == STEPS
    for one, two in zip(steps, asked, strict=True):
        for part in ("action", "warm_start", "cost", "decisions"):
            assert torch.equal(getattr(one, part), getattr(two, part)), part
    assert len(here.plans) == len(there.plans) > 1 and here.plans == there.plans
    assert here.measures == there.measures
    assert all(np.array_equal(a, b) for a, b in zip(here.frames, there.frames, strict=True))


def test_evaluation_over_http_has_the_same_outcomes(
    remote_url: str, world_folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(servo=SMALL)
    same: dict[str, Any] = {"planners": "flat", "servo": "learned", "compare": False, "settings": settings}
    same |= {"task": "push", "fresh": 4, "episodes": 1, "seed": 3, "workers": 1}
    here = Push(**same, learned=str(world_folders["tiny-push"]))
    there = RemotePush(**same, learned="tiny-push", server=remote_url)
    assert here.digests() == there.digests()
    trial = ("flat", "learned")
    assert there.dependencies([trial])[trial] == {**here.dependencies([trial])[trial], "over_http": True}
    monkeypatch.setattr(Push, "length", lambda self, world, start: STEPS)
    one, two = (Worker(run).episode(trial, 0) for run in (here, there))
    client_of(remote_url).close()
    client_of.cache_clear()
    assert len(one.pop("step_seconds")) == len(two.pop("step_seconds")) == STEPS
    assert one.pop("decision_seconds") and two.pop("decision_seconds")
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


class Answering(Client):
    """A service that gives these answers in turn and raises those that are exceptions."""

    def __init__(self, *answers: Any) -> None:
        super().__init__("http://127.0.0.1:9")
        self.answers = list(answers)

    def models(self) -> Any:
        if isinstance(answer := self.answers.pop(0), Exception):
            raise answer
        return answer


def busy(retry_after: float) -> ServerProblem:
    problem = Problem(type="queue-full", title="Queue full", status=503, detail="Busy.", request_id="1")
    return ServerProblem(problem, retry_after)


def test_busy_servers_are_asked_again_when_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    slept = list[float]()
    monkeypatch.setattr(time, "sleep", slept.append)
    model = SimpleNamespace(name="toy", kind="planner")
    service: Any = Answering(busy(2.0), busy(3.0), [model])
    assert find_model(service, "toy", "planner") is model
    assert slept == [2.0, 3.0]
    monkeypatch.setattr(remote, "PATIENCE", 1.0)
    with pytest.raises(ValueError, match="the server refuses: Queue full: Busy"):
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
        low_level = RemoteServo(client, "tiny-push", SMALL)
        seen = Context(picture[None], torch.zeros(1, 0, 2))
        with pytest.raises(ValueError, match="the server does not answer: "):
            low_level.act(Request(seen, picture, None, torch.Generator()))


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
    out = tmp_path / "r.json"
    run = RemotePush(planners="keyin", episodes=1, workers=1, server="http://127.0.0.1:9", out=out)
    with pytest.raises(ValueError, match=words):
        evaluate(replace(run, **change))
    assert not list(tmp_path.iterdir())


def test_the_planner_says_who_asks_servers(tmp_path: Path) -> None:
    run = Push(planners="keyin", server="http://127.0.0.1:9", out=tmp_path / "r.json")
    with pytest.raises(ValueError, match=r"python -m server\.evaluate push --server http://127\.0\.0\.1:9"):
        evaluate(run)


def test_search_settings_that_a_server_can_be_told_are_fine() -> None:
    check_settings(Settings(servo=SMALL, hierarchy=HierarchyConfig(keyframes=3, cem=CemConfig(candidates=9))))
