"""Environments, scenes and clips over HTTP: those of the simulator in process, the same again for a seed."""

from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from envs.dmc.env import DmcEnv
from envs.dmc.tasks import TASKS as DMC_TASKS
from envs.push.env import PushEnv
from planner.search.rollout import Interrupted
from server.environments import Pool
from server.errors import UnreadableScene
from server.http.pictures import from_base64, to_base64


def post(http: TestClient, path: str, **body: Any) -> dict[str, Any]:
    reply = http.post(path, json=body)
    assert reply.status_code == 200, reply.text
    return reply.json()


def test_environments_name_the_models_that_know_them(world_http: TestClient) -> None:
    listed = world_http.get("/v1/environments").json()["environments"]
    found = {row["name"]: row for row in listed}
    assert next(iter(found)) == "push" and set(DMC_TASKS) < set(found)
    assert found["push"]["controllers"] == ["tiny-push"] and found["push"]["planners"] == []
    assert (
        found["cartpole-balance"]["controllers"] == ["tiny-dmc"] and not found["walker-walk"]["controllers"]
    )
    assert [found[name]["actions"] for name in ("push", "cheetah-run")] == [2, 6]
    assert [found[name]["steps"] for name in ("push", "push-tight", "walker-walk")] == [60, 36, 500]
    assert {row["kind"] for row in listed} == {"push", "dmc"} and all(row["gallery"] for row in listed)
    assert [found[name]["action_repeat"] for name in ("push", "cheetah-run", "walker-walk")] == [1, 4, 2]
    assert found["push"]["returns"] is None
    assert found["reacher-easy"]["returns"] == {"random": 38.2, "simulator": 983.9, "manifest": "dmc-20"}
    assert found["walker-walk"]["returns"]["simulator"] is None


def test_a_scene_is_that_of_its_seed(world_http: TestClient) -> None:
    env = PushEnv(task="push-long")
    start, info = env.reset(seed=11)
    scene = env.scene
    env.close()
    drawn = post(world_http, "/v1/scenes", environment="push-long", seed=11)
    assert np.array_equal(from_base64(drawn["start"]), start)
    assert np.array_equal(from_base64(drawn["goal"]), info["goal"])
    layout = drawn["layout"]
    assert [(place["x"], place["y"]) for place in (layout["puck"], layout["goal"])] == [
        scene.puck,
        scene.goal,
    ]
    assert [wall["half_length"] for wall in layout["walls"]] == [scene.walls[0].half_length]
    again, other = (post(world_http, "/v1/scenes", environment="push-long", seed=seed) for seed in (11, 12))
    assert again["digest"] == drawn["digest"] != other["digest"]
    chance = post(world_http, "/v1/scenes", environment="push")
    assert post(world_http, "/v1/scenes", environment="push", seed=chance["seed"])["start"] == chance["start"]


def test_a_scene_is_read_off_its_pictures(world_http: TestClient) -> None:
    drawn = post(world_http, "/v1/scenes", environment="push-two-walls", seed=11)
    pictures = {name: drawn[name] for name in ("start", "goal")}
    read = post(world_http, "/v1/scenes", environment="push-two-walls", **pictures)
    assert read["seed"] is None and len(read["layout"]["walls"]) == len(drawn["layout"]["walls"])
    for thing in ("puck", "goal"):
        assert read["layout"][thing] == pytest.approx(drawn["layout"][thing], abs=0.01)
    for name, picture in pictures.items():
        assert np.abs(from_base64(read[name]).astype(int) - from_base64(picture)).mean() < 1


def test_pictures_that_show_no_scene_are_refused_with_what_they_lack(world_http: TestClient) -> None:
    drawn = post(world_http, "/v1/scenes", environment="push", seed=3)
    good = {name: drawn[name] for name in ("start", "goal")}
    table = from_base64(good["start"])[0, 0]
    start = from_base64(good["start"])
    wall = (start[..., 2] > start[..., 0] + 40) & (start[..., 0] < 120)
    assert wall.sum() > 20
    lost = np.where(wall[..., None], np.median(start.reshape(-1, 3), axis=0), start).astype(np.uint8)
    photo = np.random.default_rng(0).integers(0, 256, start.shape, np.uint8)
    for name, picture, words in (
        ("start", np.broadcast_to(table, start.shape), "The start picture shows no puck."),
        ("goal", np.broadcast_to(table, start.shape), "The goal picture shows no puck."),
        ("start", lost, "The start picture shows no wall."),
        ("start", photo, "The start picture"),
    ):
        body = {"environment": "push", **good, name: to_base64(np.ascontiguousarray(picture))}
        reply = world_http.post("/v1/scenes", json=body)
        assert reply.status_code == 422 and reply.json()["type"].endswith("unreadable-scene"), reply.text
        assert words in reply.json()["detail"]
        assert [error["field"] for error in reply.json()["errors"]] == [name]


def test_a_clip_is_what_its_actions_do(world_http: TestClient) -> None:
    clip = post(world_http, "/v1/clips", environment="cartpole-balance", seed=4, steps=30)
    assert len(clip["frames"]) == 31 and len(clip["actions"]) == len(clip["rewards"]) == 30
    env = DmcEnv("cartpole-balance")
    frames = [env.reset(seed=4)[0]]
    rewards = []
    for action in clip["actions"]:
        frame, reward, *_ = env.step(np.array(action))
        frames.append(frame)
        rewards.append(reward)
    env.close()
    assert rewards == clip["rewards"]
    assert all(np.array_equal(from_base64(one), two) for one, two in zip(clip["frames"], frames, strict=True))
    assert np.abs(clip["actions"]).max() > 0.8 > -0.8 > np.min(clip["actions"])
    post(world_http, "/v1/clips", environment="cartpole-balance", seed=5, steps=3)
    again = post(world_http, "/v1/clips", environment="cartpole-balance", seed=4, steps=30)
    assert again["digest"] == clip["digest"]


def test_a_clip_of_pushing_pays_nearness(world_http: TestClient) -> None:
    clip = post(world_http, "/v1/clips", environment="push", seed=4, steps=2)
    assert all(reward < -0.3 for reward in clip["rewards"]) and np.shape(clip["actions"]) == (2, 2)


@pytest.mark.parametrize(
    ("path", "body", "status", "word"),
    [
        ("/v1/scenes", {"environment": "chess"}, 404, "push-two-walls"),
        ("/v1/clips", {"environment": "chess"}, 404, "walker-walk"),
        ("/v1/scenes", {"environment": "walker-walk"}, 422, "push-tight"),
        ("/v1/clips", {"environment": "push", "steps": 201}, 422, "steps"),
        ("/v1/clips", {"environment": "push", "steps": 0}, 422, "steps"),
        ("/v1/scenes", {"environment": "push", "seed": -1}, 422, "seed"),
        ("/v1/scenes", {"environment": "push", "start": "AAAA"}, 422, "both start and goal"),
        ("/v1/scenes", {"environment": "push", "seed": 1, "start": "AAAA", "goal": "AAAA"}, 422, "either"),
        ("/v1/scenes", {"environment": "push", "start": "AAAA", "goal": "AAAA"}, 422, "start is not a PNG"),
        ("/v1/scenes", {"environment": "push", "deadline_ms": 10**7}, 422, "deadline_ms"),
        ("/v1/scenes", {"environment": "push", "model": "keyin-push"}, 422, "model"),
    ],
)
def test_what_cannot_be_is_said(
    world_http: TestClient, path: str, body: dict[str, Any], status: int, word: str
) -> None:
    reply = world_http.post(path, json=body)
    assert reply.status_code == status and word in reply.json()["detail"], reply.text


class World:
    """Counts what is made and closed."""

    made: list[str]
    closed: list[Any]

    def __init__(self, name: str) -> None:
        self.made.append(name)

    def close(self) -> None:
        self.closed.append(self)


@pytest.fixture
def pool() -> Pool[Any]:
    World.made, World.closed = [], []
    return Pool(World)  # type: ignore[type-var]


def test_worlds_are_lent_once_at_a_time_and_some_kept_for_the_next(pool: Pool[Any]) -> None:
    with ExitStack() as stack:
        lent = {stack.enter_context(pool.borrow("a")) for _ in range(6)}
        stack.enter_context(pool.borrow("b"))
        assert len(lent) == 6 and World.made == [*"aaaaaab"]
    assert len(World.closed) == 2
    with pool.borrow("a") as again, pool.borrow("a") as another:
        assert {again, another} < lent and again is not another and not {again, another} & {*World.closed}
    assert len(World.made) == 7
    pool.close()
    assert len(World.closed) == 7


@pytest.mark.parametrize(
    ("reason", "sound"),
    [
        (ZeroDivisionError(), False),
        (KeyboardInterrupt(), False),
        (Interrupted("deadline"), True),
        (UnreadableScene("start", "No puck."), True),
        (GeneratorExit(), True),
    ],
)
def test_a_world_that_failed_is_not_lent_again(pool: Pool[Any], reason: BaseException, sound: bool) -> None:
    with pytest.raises(type(reason)), pool.borrow("a") as world:
        raise reason
    assert World.closed == ([] if sound else [world])
    with pool.borrow("a") as next_one:
        assert (next_one is world) == sound
