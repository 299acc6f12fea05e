"""Episodes over HTTP: those of the planner in process, bit for bit, watched, cut, and from pictures."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest
from fastapi.testclient import TestClient

from envs.dmc.world import DmcWorld
from envs.push.scene import path_length
from envs.push.world import PushWorld
from planner.episode import Outcome, episode, run_episode
from planner.goals import make_goal
from planner.loaded import ReadyPlanner
from planner.low_levels.learned import DMC_SERVO, control_by_place, control_by_reward, horizon_of
from planner.low_levels.low_level import LowLevel, true_servo
from planner.pursuit import Actor, one_stream, own_seeds
from planner.search.costs import ObjectDistance
from planner.search.hierarchy import HierarchyConfig, Planner
from planner.search.rollout import Interrupted, RollOut, drive
from server.app import create_app
from server.episodes.requests import episode_task
from server.episodes.schemas import EpisodeRequest
from server.http.pictures import from_base64, to_base64
from server.models.service import ModelService
from server.settings import Settings
from world_models.frames import to_tensor
from world_models.segmenter import PUCK_GOAL

PLAN = "ab" * 32
STEPS = 4


@pytest.fixture(scope="module")
def pictures() -> tuple[np.ndarray, np.ndarray]:
    """Start and goal of the scene with seed 3."""
    world = PushWorld()
    start, info = world.env.reset(seed=3)
    world.close()
    return start, info["goal"]


@pytest.fixture(scope="module")
def subgoals(pictures: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Of a plan that goes back to the start before it reaches the goal."""
    start, goal = pictures
    return np.stack([np.roll(start, 8, axis=0), start, goal])


@pytest.fixture
def order(world_http: TestClient, subgoals: np.ndarray) -> dict[str, Any]:
    world_http.app.state.plans.of("anonymous").keep(PLAN, subgoals)
    return {"environment": "push", "seed": 3, "plan": PLAN, "episode_seed": 7, "steps": STEPS}


def post(http: TestClient, body: dict[str, Any]) -> dict[str, Any]:
    reply = http.post("/v1/episodes", json=body)
    assert reply.status_code == 200, reply.text
    return reply.json()


@dataclass(frozen=True)
class Direct:
    """Something to be done in the engine's thread."""

    run: Callable[[], Any]
    kind: ClassVar[str] = "direct"
    who: ClassVar[str] = "test"
    amount: ClassVar[float] = 1.0
    least: ClassVar[float] = 1.0

    def work(self, device: str) -> Iterator[None]:
        yield None
        return self.run()


def on_engine(service: ModelService, run: Callable[[], Any]) -> Any:
    return service.engine.submit(Direct(run)).future.result(20)


def same(reply: dict[str, Any], outcome: Any) -> bool:
    """Whether a reply has the frames and actions of an outcome, bit for bit."""
    frames = [from_base64(frame) for frame in reply["frames"]]
    return np.array_equal(frames, outcome.frames) and reply["actions"] == [
        action.tolist() for action in outcome.actions
    ]


@pytest.mark.parametrize("servo", ["learned", "simulator"])
def test_pushing_is_that_of_the_planner_in_process(
    worlds: ModelService, world_http: TestClient, order: dict[str, Any], subgoals: np.ndarray, servo: str
) -> None:
    reply = post(world_http, order | {"servo": servo})

    def directly() -> Outcome:
        world = PushWorld()
        world.env.reset(seed=3)
        scene = replace(world.env.scene, steps=STEPS)
        low_level: LowLevel = control_by_place(worlds.models["tiny-push"])
        if servo == "simulator":
            low_level = true_servo(world)
        ahead = to_tensor(subgoals[:-1])
        actor = Actor(low_level, lambda *_: ahead, make_goal(world.goal))
        outcome = run_episode(world, scene, actor, own_seeds(7))
        world.close()
        last = outcome.measures[-1]
        assert last["distance"] == path_length(scene, np.array(last["puck"]))
        return outcome

    outcome = on_engine(worlds, directly)
    assert same(reply, outcome) and len(reply["frames"]) == STEPS + 1
    assert (reply["distance"], reply["initial_distance"]) == (
        outcome.measures[-1]["distance"],
        outcome.measures[0]["distance"],
    )
    assert reply["pursued"] == [place for _, place in outcome.pursued]
    assert (reply["steps"], reply["stop_reason"], reply["success"]) == (STEPS, "steps", False)
    assert (reply["servo"], reply["plan"], reply["planner"], reply["rewards"]) == (servo, PLAN, None, None)
    assert (reply["model"] or {}).get("name") == ("tiny-push" if servo == "learned" else None)
    assert np.array_equal([from_base64(picture) for picture in reply["subgoals"]], subgoals)
    assert post(world_http, order | {"servo": servo})["digest"] == reply["digest"]


def test_a_scene_is_set_up_from_pictures(
    world_http: TestClient, order: dict[str, Any], pictures: tuple[np.ndarray, np.ndarray]
) -> None:
    drawn = post(world_http, order | {"servo": "simulator"})
    del order["seed"]
    shown = {"start": to_base64(pictures[0]), "goal": to_base64(pictures[1])}
    read = post(world_http, order | {"servo": "simulator"} | shown)
    assert read["seed"] is None
    assert read["initial_distance"] == pytest.approx(drawn["initial_distance"], abs=0.02)
    difference = from_base64(read["frames"][0]).astype(int) - pictures[0]
    assert np.sqrt(np.square(difference).mean()) < 3
    assert read["actions"][0] == pytest.approx(drawn["actions"][0], abs=0.1)
    assert post(world_http, order | {"servo": "simulator"} | shown)["digest"] == read["digest"]


def test_every_step_can_be_watched(world_http: TestClient, order: dict[str, Any]) -> None:
    plain = post(world_http, order)
    reply = world_http.post("/v1/episodes", json=order, headers={"Accept": "text/event-stream"})
    lines = [block.split("\n") for block in reply.text.strip().split("\n\n") if block.startswith("event")]
    names = [name.removeprefix("event: ") for name, _ in lines]
    told = [json.loads(data.removeprefix("data: ")) for _, data in lines]
    assert names == ["queued", *["frame"] * (STEPS + 1), "result"]
    frames = told[1:-1]
    assert [frame["step"] for frame in frames] == list(range(STEPS + 1))
    assert [frame["image"] for frame in frames] == plain["frames"]
    assert [frame["action"] for frame in frames] == [None, *plain["actions"]]
    assert [frame["subgoal"] for frame in frames[1:]] == plain["pursued"]
    found = [frame["object_position"] for frame in frames]
    seen = PUCK_GOAL.segmenter.blob(
        to_tensor(np.stack([from_base64(picture) for picture in plain["frames"]]))
    )
    assert np.allclose([(place["x"], place["y"]) for place in found], seen.centre.numpy())
    assert frames[0]["subgoal"] == plain["pursued"][0] and frames[-1]["distance"] == plain["distance"]
    assert told[-1]["digest"] == plain["digest"]


def test_dm_control_is_that_of_the_planner_in_process(worlds: ModelService, world_http: TestClient) -> None:
    body = {
        "environment": "cartpole-balance",
        "seed": 5,
        "episode_seed": 6,
        "steps": 3,
        "objective": "reward",
    }
    reply = post(world_http, body)

    def directly() -> Any:
        world = DmcWorld("cartpole-balance")
        picture, _ = world.env.reset(seed=5)
        search = DMC_SERVO.model_copy(update={"horizon": horizon_of("cartpole-balance")})
        actor = Actor(control_by_reward(worlds.models["tiny-dmc"], "cartpole-balance", search))
        outcome = drive(episode(world, picture, None, 3, actor, one_stream(6)))
        world.close()
        return outcome

    outcome = on_engine(worlds, directly)
    assert same(reply, outcome) and reply["rewards"] == [now["reward"] for now in outcome.measures[1:]]
    assert (reply["steps"], reply["stop_reason"], reply["model"]["name"]) == (3, "steps", "tiny-dmc")
    assert reply["success"] is reply["distance"] is reply["layout"] is reply["plan"] is None
    assert post(world_http, body)["digest"] == reply["digest"]


@pytest.fixture
def planning(point_mass: Any, worlds: ModelService) -> Iterator[tuple[ModelService, TestClient]]:
    """A service with a planner of the toy world that knows the real puck, and the tiny model that pushes."""
    world = type(point_mass)(PUCK_GOAL.segmenter)
    cost = ObjectDistance(
        PUCK_GOAL.segmenter, lambda features: PUCK_GOAL.segmenter.blob(world.decode(features)).centre
    )
    planner = Planner(world, cost, HierarchyConfig(keyframes=3), PUCK_GOAL.segmenter.whole)
    toy = ReadyPlanner("toy", "1", "ab" * 32, "cd" * 32, 64, planner, PUCK_GOAL)
    models = {"toy": toy, "tiny-push": worlds.models["tiny-push"]}
    service = ModelService(Settings(models=tuple(models), threads=1), lambda name, device: models[name])
    with TestClient(create_app(service.settings, service), base_url="http://localhost") as http:
        yield service, http


def test_a_plan_is_made_where_none_is_given(planning: tuple[ModelService, TestClient]) -> None:
    _, http = planning
    body = {"environment": "push", "seed": 3, "episode_seed": 7, "steps": 2}
    reply = post(http, body)
    assert (reply["planner"]["name"], reply["stop_reason"], len(reply["subgoals"])) == ("toy", "steps", 3)
    pictures = [from_base64(picture) for picture in reply["subgoals"]]
    assert np.array_equal(http.app.state.plans.of("anonymous").subgoals(reply["plan"]), pictures)
    again = post(http, body | {"plan": reply["plan"]})
    assert again["actions"] == reply["actions"] and again["planner"] is None
    assert post(http, body)["digest"] == reply["digest"]


def test_a_stopped_episode_answers_what_was_done(
    worlds: ModelService, world_http: TestClient, order: dict[str, Any]
) -> None:
    def stopped(body: dict[str, Any], turns: int, thrown: bool) -> Any:
        work, answer = (
            episode_task(EpisodeRequest(**body), worlds, world_http.app.state.plans.of("anonymous")).work(
                "cpu"
            ),
            None,
        )
        while True:
            asked = work.send(answer)
            turns -= isinstance(asked, RollOut) if thrown else asked is None
            if turns < 0:
                break
            answer = asked.alone() if isinstance(asked, RollOut) else None
        with pytest.raises(StopIteration) as end:
            work.throw(Interrupted("cancelled")) if thrown else work.send("deadline")
        return end.value.value

    simulated = order | {"servo": "simulator"}
    suite = {"environment": "cartpole-balance", "steps": 5}

    def both() -> Any:
        return [
            (outcome.stop_reason, len(outcome.driven.actions), len(outcome.driven.frames))
            for outcome in (
                stopped(simulated, 5, False),  # four turns before the first step, one after each
                stopped(order, 2, True),  # two roll-outs for each step
                stopped(suite, 4, True),
                stopped(suite, 5, False),  # three turns before
            )
        ]

    assert on_engine(worlds, both) == [
        ("deadline", 2, 3),
        ("cancelled", 1, 2),
        ("cancelled", 2, 3),
        ("deadline", 3, 4),
    ]


@pytest.mark.parametrize(
    ("change", "status", "word"),
    [
        ({"environment": "chess"}, 404, "push-long"),
        ({"plan": "cd" * 32}, 404, "does not have that plan"),
        ({"plan": None}, 404, "available: none"),
        ({"model": "tiny-dmc"}, 422, "tiny-push"),
        ({"model": "gpt"}, 404, "tiny-push"),
        ({"servo": "simulator", "model": "tiny-push"}, 422, "leave out model"),
        ({"planner": "keyin-push"}, 422, "Send either a plan"),
        ({"objective": "reward"}, 422, "leave out objective"),
        ({"steps": 61}, 422, "at most 60"),
        ({"start": "AAAA"}, 422, "both start and goal"),
        ({"start": "AAAA", "goal": "AAAA"}, 422, "either a seed"),
        ({"seed": None, "start": "AAAA", "goal": "AAAA"}, 422, "start is not a PNG"),
        ({"environment": "cartpole-balance"}, 422, "for pushing"),
        ({"environment": "walker-walk", "plan": None}, 404, "available: none"),
        ({"environment": "cartpole-balance", "plan": None, "steps": 251}, 422, "at most 250"),
        ({"environment": "cartpole-balance", "plan": None, "model": "tiny-push"}, 422, "tiny-dmc"),
    ],
)
def test_what_cannot_be_is_said(
    world_http: TestClient, order: dict[str, Any], change: dict[str, Any], status: int, word: str
) -> None:
    reply = world_http.post("/v1/episodes", json=order | change)
    assert reply.status_code == status and word in reply.json()["detail"], reply.text


def test_pictures_without_a_scene_are_refused(
    world_http: TestClient, order: dict[str, Any], pictures: tuple[np.ndarray, np.ndarray]
) -> None:
    blank = np.full_like(pictures[0], (128, 91, 60))
    for start, goal, word in ((blank, pictures[1], "start"), (pictures[0], blank, "goal")):
        body = order | {"seed": None, "start": to_base64(start), "goal": to_base64(goal)}
        reply = world_http.post("/v1/episodes", json=body)
        assert reply.status_code == 422 and reply.json()["type"].endswith("unreadable-scene")
        assert f"The {word} picture shows no puck." in reply.json()["detail"]
