"""Models of a world that nobody has told the server of: plans, actions and whole evaluations over HTTP."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from dot_room_models import ENV, SMALL, record, untrained_models
from fastapi.testclient import TestClient

from conftest import in_process, serving
from planner.evaluation.gym.run import Gym
from planner.evaluation.settings import FOLLOWING, Settings
from planner.evaluation.worker import Worker
from planner.loaded import ReadyPlanner, ReadyWorldModel
from planner.low_levels.learned import control_by_keypoints
from planner.low_levels.low_level import Request
from planner.pursuit import EpisodeConfig
from planner.subgoals import plan_end, plan_path
from server.client import Client
from server.evaluate import RemoteGym, client_of
from server.http.pictures import to_base64
from server.models.service import ModelService
from server.plans.memory import Plans
from server.predictions.models import planners_in
from world_models.data import read_shard, shard_path
from world_models.frames import to_bytes, to_tensor
from world_models.interface import Context

SIZE = 96
FEW = {"samples": 12, "iterations": 2}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Path]]:
    """Data, and the folders of a planner and of a world model of them by the names they are served by."""
    folder = tmp_path_factory.mktemp("room")
    keyin, world = untrained_models(folder, SIZE)
    return record(folder, 4, SIZE), {"room": keyin, "room-world": world}


@pytest.fixture(scope="module")
def service(made: tuple[Path, dict[str, Path]]) -> Iterator[ModelService]:
    with serving({f"{name}={folder}": Path(f"{name}={folder}") for name, folder in made[1].items()}) as one:
        yield one


@pytest.fixture(scope="module")
def http(service: ModelService) -> TestClient:
    return in_process(service)


@pytest.fixture(scope="module")
def frames(made: tuple[Path, dict[str, Path]]) -> np.ndarray:
    """Pictures of an episode."""
    return read_shard(shard_path(made[0], 0)).frames[0]


@pytest.fixture(scope="module")
def order(frames: np.ndarray) -> dict[str, Any]:
    return {"start": to_base64(frames[0]), "goal": to_base64(frames[6]), "seed": 7} | FEW


def post(http: TestClient, path: str, body: dict[str, Any]) -> dict[str, Any]:
    reply = http.post(path, json=body)
    assert reply.status_code == 200, reply.text
    return reply.json()


def test_models_say_what_they_are_asked_for(http: TestClient) -> None:
    planner, world = http.get("/v1/models").json()["models"]
    assert (planner["name"], planner["goal"], planner["follows"]) == ("room", "embedding", True)
    assert planner["image_size"] == world["image_size"] == SIZE
    assert [way["objective"] for way in world["control"]] == ["keypoints"]


def test_a_plan_has_no_places_and_the_frames_on_the_way(
    http: TestClient, service: ModelService, order: dict[str, Any], frames: np.ndarray
) -> None:
    plain, full = post(http, "/v1/plans", order), post(http, "/v1/plans", order | {"path": True})
    assert plain["digest"] == full["digest"] and "path" not in plain
    places = [plain[end]["object_position"] for end in ("start", "goal")]
    assert places == [None, None] and all(one["object_position"] is None for one in plain["subgoals"])
    end = plain["ends_at"]
    assert len(full["path"]) == int(plain["subgoals"][end]["step"]) - 1
    ready = service.models["room"]
    assert isinstance(ready, ReadyPlanner)
    start, goal = to_tensor(frames[:1]), to_tensor(frames[6:7])
    plan = ready.planner.plan(
        Context(start[:, None], torch.zeros(1, 0, 0)),
        goal,
        [torch.Generator().manual_seed(7)],
        candidates=12,
        iterations=2,
    )
    assert plan_end(ready.planner, plan, goal) == end
    path = to_bytes(plan_path(ready.planner, plan, start, end)).astype(int)
    client = Client("http://localhost")
    client._http = http  # type: ignore[assignment]  # it has the same methods
    sent = client.plan(frames[0], frames[6], seed=7, samples=12, iterations=2, path=True, alternatives=2)
    assert sent.path is not None and sent.path.shape == path.shape and np.abs(sent.path - path).max() <= 1
    for other in sent.response.alternatives or ():
        assert other.path is not None and other.ends_at < len(other.subgoals)


def test_events_show_the_search(http: TestClient, order: dict[str, Any]) -> None:
    reply = http.post("/v1/plans", json=order, headers={"Accept": "text/event-stream"})
    assert reply.text.count("event: iteration") == 2 and "event: result" in reply.text


def test_the_path_is_followed(
    http: TestClient, service: ModelService, order: dict[str, Any], frames: np.ndarray
) -> None:
    plan = post(http, "/v1/plans", order | {"path": True})
    act = {"objective": "keypoints", "frames": [order["start"]], "seed": 3}
    by_plan = post(http, "/v1/actions", act | {"plan": plan["id"], "step": 1})
    goal = (plan["seen"] or order)["goal"]
    sent = act | {"calibration": plan["calibration"]}
    by_path = post(http, "/v1/actions", sent | {"path": [*plan["path"], goal][1:]})
    assert by_plan["digest"] == by_path["digest"] and by_plan["subgoal_position"] is None
    at_goal = post(http, "/v1/actions", act | {"plan": plan["id"], "step": 99})
    assert at_goal["action"] == post(http, "/v1/actions", sent | {"subgoal": goal})["action"]
    ready = service.models["room-world"]
    assert isinstance(ready, ReadyWorldModel)
    servo = FOLLOWING.servo.model_copy(update={"horizon": 3})
    low_level = control_by_keypoints(ready, 2, servo)
    seen = Context(to_tensor(frames[None, :1]), torch.zeros(1, 0, 2))
    step = low_level.act(Request(seen, to_tensor(frames[6:7]), None, torch.Generator().manual_seed(3)))
    short = post(http, "/v1/actions", act | {"subgoal": order["goal"], "horizon": 3})
    np.testing.assert_allclose(short["action"], step.action[0], atol=1e-4)
    assert short["cost"] == pytest.approx(float(step.cost), rel=1e-4)
    pictured = post(http, "/v1/actions", act | {"plan": plan["id"], "index": 0, "render": True})
    assert all(one["image"] for one in pictured["expected"])


def test_what_cannot_be_followed_is_said(http: TestClient, order: dict[str, Any]) -> None:
    plans: Plans = http.app.state.plans.of("anonymous")  # type: ignore[attr-defined]
    plans.keep("2" * 64, np.zeros((2, SIZE, SIZE, 3), np.uint8))
    plans.keep("3" * 64, np.zeros((2, 64, 64, 3), np.uint8), path=(order["goal"],))
    act = {"objective": "keypoints", "frames": [order["start"]], "step": 0}
    for plan, words in (
        ("2" * 64, "step: This plan is not followed frame by frame: send index in place of step."),
        ("3" * 64, f"plan: Pictures of this plan are 64 x 64 pixels; this model needs {SIZE} x {SIZE}."),
    ):
        reply = http.post("/v1/actions", json=act | {"plan": plan})
        assert reply.status_code == 422 and words in reply.json()["detail"]
    small = http.post("/v1/plans", json=order | {"start": to_base64(np.zeros((64, 64, 3), np.uint8))})
    assert "64 x 64 pixels; this model needs 96 x 96" in small.json()["detail"]
    wrong = http.post("/v1/actions", json={"frames": [order["start"]], "subgoal": order["goal"]})
    assert wrong.json()["detail"].endswith("available: none.")


def test_planners_of_objects_send_no_path(
    make_service: Callable[..., ModelService], body: dict[str, Any], eventually: Callable[..., None]
) -> None:
    service = make_service()
    with in_process(service) as http:
        eventually(lambda: http.get("/readyz").status_code == 200)
        reply = http.post("/v1/plans", json=body | {"path": True})
        assert "path: Plans of this model are not followed" in reply.json()["detail"]
        plan = post(http, "/v1/plans", body)
        assert plan["ends_at"] == len(plan["subgoals"]) - 1


def test_pushing_is_left_to_planners_that_see_objects(service: ModelService) -> None:
    ready = service.models["room"]
    small = ModelService(service.settings, lambda name, device: ready)
    small.models = {"room": replace(ready, image_size=64)}
    assert planners_in(small, "push") == []


@pytest.mark.parametrize("trial", ["keyin", "flat", "random"])
def test_evaluation_over_http_is_that_in_process(
    made: tuple[Path, dict[str, Path]],
    service: ModelService,
    serve: Callable[..., Any],
    tmp_path: Path,
    trial: str,
) -> None:
    data, folders = made
    servo = SMALL.servo.model_copy(update={"cem": Settings().servo.cem.model_copy(update={"candidates": 8})})
    hierarchy = Settings().hierarchy
    cem = hierarchy.cem.model_copy(update={"candidates": 8, "iterations": 2})
    search = SMALL.model_copy(update={"servo": servo, "hierarchy": hierarchy.model_copy(update={"cem": cem})})
    same: dict[str, Any] = {"env": ENV, "data": data, "planners": trial, "episodes": 1, "offset": "8"}
    same |= {"workers": 1, "settings": search, "out": tmp_path / "r.json"}
    here = Gym(**same, model=str(folders["room"]), world=str(folders["room-world"]))
    served = ModelService(service.settings, lambda name, device: service.models[name.partition("=")[0]])
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with serve(served) as url:
        there = RemoteGym(**same, model="room", world="room-world", server=url)
        key = (trial, "8")
        assert there.dependencies([key])[key] == here.dependencies([key])[key] | {"over_http": True}
        one, two = (Worker(run).outcome(key, 0) for run in (here, there))
        client_of(url).close()
    torch.set_num_threads(threads)
    client_of.cache_clear()
    assert one.steps == two.steps and len(one.plans) == len(two.plans)
    for mine, theirs in zip(one.actions, two.actions, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"data": None}, "say with --data FOLDER"),
        ({"world": "room"}, "no world-model that acts for keypoints called 'room'; it has room-world"),
        ({"model": "room-world"}, "the server has no planner 'room-world'; it has room"),
        (
            {"settings": FOLLOWING.model_copy(update={"episode": EpisodeConfig()})},
            "what a plan toward whole pictures has reached is not read here",
        ),
    ],
)
def test_what_a_server_cannot_do_in_a_gym_is_said(
    made: tuple[Path, dict[str, Path]],
    service: ModelService,
    serve: Callable[..., Any],
    change: dict[str, Any],
    words: str,
) -> None:
    served = ModelService(service.settings, lambda name, device: service.models[name.partition("=")[0]])
    with serve(served) as url:
        run = RemoteGym(env=ENV, model="room", world="room-world", data=made[0], server=url)
        with pytest.raises(ValueError, match=words):
            replace(run, **change).dependencies([("keyin", "8")])
