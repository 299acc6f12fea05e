"""Actions over HTTP: those of the model in process, bit for bit, and the same again for the same seed."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient

from envs.push.env import PushEnv
from planner.loaded import ReadyPlanner
from planner.low_levels.learned import control_by_goal, control_by_place, control_by_reward
from planner.low_levels.low_level import Request
from planner.search.rollout import Interrupted, drive
from server.actions.task import ActionTask, example_action
from server.app import create_app
from server.errors import UnknownPlan
from server.http.pictures import from_base64, to_base64
from server.models.service import ModelService
from server.plans.memory import Plans
from server.settings import Settings
from world_models.frames import to_tensor
from world_models.interface import Context
from world_models.segmenter import PUCK_GOAL
from world_models.struct_vrnn.model import StructVRNN

SEEN = 4
FEW = {"candidates": 12, "iterations": 2, "horizon": 5}


@pytest.fixture(scope="module")
def pushing() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frames of the real environment, the actions between them, and a picture of the goal."""
    env = PushEnv()
    rng = np.random.default_rng(0)
    frame, info = env.reset(seed=3)
    frames, actions = [frame], []
    for _ in range(SEEN - 1):
        actions.append(rng.uniform(-1, 1, 2).astype(np.float32))
        frames.append(env.step(actions[-1])[0])
    env.close()
    return np.stack(frames), np.stack(actions), info["goal"]


@pytest.fixture(scope="module")
def order(pushing: tuple[np.ndarray, np.ndarray, np.ndarray]) -> dict[str, Any]:
    frames, actions, goal = pushing
    pictures = [to_base64(frame) for frame in frames]
    return {"frames": pictures, "past_actions": actions.tolist(), "subgoal": to_base64(goal), "seed": 5} | FEW


def post(http: TestClient, body: dict[str, Any]) -> dict[str, Any]:
    reply = http.post("/v1/actions", json=body)
    assert reply.status_code == 200, reply.text
    return reply.json()


def test_actions_and_warm_starts_are_those_of_the_servo_in_process(
    computed: Callable[..., Any],
    worlds: ModelService,
    world_http: TestClient,
    pushing: Any,
    order: dict[str, Any],
) -> None:
    frames, past, goal = pushing
    first = post(world_http, order)
    second = post(world_http, order | {"warm_start": first["warm_start"], "seed": 6})
    config = control_by_place(worlds.models["tiny-push"]).servo.config
    cem = config.cem.model_copy(update={"candidates": 12, "iterations": 2})
    config = config.model_copy(update={"cem": cem, "horizon": 5})

    def directly() -> list[Any]:
        controller = control_by_place(worlds.models["tiny-push"], config)
        seen = Context(to_tensor(frames)[None], torch.from_numpy(past)[None])
        steps, warm_start = [], None
        for seed in (5, 6):
            randomness = torch.Generator().manual_seed(seed)
            steps.append(controller.act(Request(seen, to_tensor(goal)[None], warm_start, randomness)))
            warm_start = steps[-1].warm_start
        return steps

    for reply, step in zip((first, second), computed(directly), strict=True):
        assert np.array_equal(np.array(reply["action"], np.float32), step.action[0].numpy())
        assert np.array_equal(np.array(reply["warm_start"], np.float32), step.warm_start[0].numpy())
        assert reply["cost"] == step.cost.item()
        assert [row["action"] for row in reply["expected"]] == step.decisions[0].tolist()
    assert first["action"] != second["action"] and np.shape(first["warm_start"]) == (5, 2)
    x, y = PUCK_GOAL.segmenter.blob(to_tensor(goal)[None]).centre[0].tolist()
    assert first["subgoal_position"] == {"x": x, "y": y}
    assert (first["model"]["name"], first["objective"], first["task"]) == ("tiny-push", "push", None)
    assert {name: first[name] for name in FEW} == FEW and first["seed"] == 5


def test_cost_is_that_of_the_places_expected(world_http: TestClient, order: dict[str, Any]) -> None:
    reply = post(world_http, order)
    last, wanted = reply["expected"][-1], reply["subgoal_position"]
    puck, finger = last["object_position"], last["finger_position"]
    far, reach = (np.hypot(a["x"] - b["x"], a["y"] - b["y"]) for a, b in ((puck, wanted), (finger, puck)))
    assert reply["cost"] == pytest.approx(far + 0.1 * reach, abs=1e-2)
    assert all(step["reward"] is step["image"] is None for step in reply["expected"])


def test_same_seed_same_action_with_or_without_pictures(
    world_http: TestClient, order: dict[str, Any]
) -> None:
    one, two, other = (post(world_http, order | {"seed": seed}) for seed in (5, 5, 2**63 - 1))
    assert one["digest"] == two["digest"] != other["digest"] and one["action"] != other["action"]
    drawn = post(world_http, {key: value for key, value in order.items() if key != "seed"})
    assert post(world_http, order | {"seed": drawn["seed"]})["digest"] == drawn["digest"]
    pictured = post(world_http, order | {"render": True})
    assert pictured["action"] == one["action"] and pictured["warm_start"] == one["warm_start"]
    pictures = np.stack([from_base64(step["image"]) for step in pictured["expected"]])
    assert pictures.shape == (5, 64, 64, 3) and pictures.std(0).max() > 0


def test_frames_before_the_last_four_do_not_matter(world_http: TestClient, order: dict[str, Any]) -> None:
    more = {
        "frames": [order["subgoal"], *order["frames"]],
        "past_actions": [[1.0, -1.0], *order["past_actions"]],
    }
    assert post(world_http, order | more)["action"] == post(world_http, order)["action"]


@pytest.mark.parametrize(("objective", "control"), [("reward", control_by_reward), ("goal", control_by_goal)])
def test_dm_control_tasks_are_controlled_by_reward_or_goal(
    computed: Callable[..., Any],
    worlds: ModelService,
    world_http: TestClient,
    pushing: Any,
    objective: str,
    control: Any,
) -> None:
    frames, _, goal = pushing
    past = np.full((SEEN - 1, 6), 0.25, np.float32)
    body = {"objective": objective, "task": "cheetah-run", "seed": 2, "past_actions": past.tolist()} | FEW
    body |= {"frames": [to_base64(frame) for frame in frames]}
    reply = post(world_http, body | ({"subgoal": to_base64(goal)} if objective == "goal" else {}))

    def directly() -> Any:
        standard = control(worlds.models["tiny-dmc"], "cheetah-run").servo.config
        cem = standard.cem.model_copy(update={"candidates": 12, "iterations": 2})
        config = standard.model_copy(update={"cem": cem, "horizon": 5})
        seen = Context(to_tensor(frames)[None], torch.from_numpy(past)[None])
        controller = control(worlds.models["tiny-dmc"], "cheetah-run", config)
        randomness = torch.Generator().manual_seed(2)
        return controller.act(Request(seen, to_tensor(goal)[None], None, randomness))

    step = computed(directly)
    assert reply["action"] == step.action[0].tolist() and len(reply["action"]) == 6
    rewards = [row["reward"] for row in reply["expected"]]
    if objective == "reward":
        assert reply["cost"] == pytest.approx(-sum(rewards), abs=1e-4)
        assert reply["reward_head"] == worlds.models["tiny-dmc"].heads["cheetah-run"].sha256
    else:
        assert rewards == [None] * 5 and reply["reward_head"] is None
    assert reply["subgoal_position"] is reply["expected"][0]["object_position"] is None


def test_a_plan_is_named_in_place_of_a_picture(
    worlds: ModelService, ready_planner: ReadyPlanner, body: dict[str, Any], order: dict[str, Any]
) -> None:
    models = worlds.models | {"toy": ready_planner}
    service = ModelService(Settings(models=tuple(models)), lambda name, device: models[name])
    with TestClient(create_app(service.settings, service), base_url="http://localhost") as http:
        plan = http.post("/v1/plans", json=body).json()
        assert plan["id"] == plan["digest"]
        unnamed = {key: value for key, value in order.items() if key != "subgoal"}
        named = post(http, unnamed | {"plan": plan["id"], "index": 4})
        sent = post(http, unnamed | {"subgoal": plan["subgoals"][4]["image"]})
        assert named["digest"] == sent["digest"]
        assert named["subgoal_position"] == pytest.approx(plan["subgoals"][4]["object_position"], abs=0.5)
        wrong = http.post("/v1/actions", json=unnamed | {"plan": plan["id"], "index": 6})
        assert wrong.status_code == 422 and "index: This plan has the subgoals 0 to 5." in wrong.text


def test_plans_are_forgotten_when_too_many_came_after() -> None:
    plans, pictures = Plans(capacity=2), np.zeros((1, 2, 2, 3), np.uint8)
    for plan in ("a", "b", "a", "c"):
        plans.keep(plan, pictures + ord(plan))
    assert plans.subgoals("a")[0, 0, 0, 0] == ord("a") and plans.subgoals("c")[0, 0, 0, 0] == ord("c")
    with pytest.raises(UnknownPlan, match="send the picture as subgoal"):
        plans.subgoals("b")


def test_models_say_what_they_can_act_for(world_http: TestClient) -> None:
    models = {model["name"]: model for model in world_http.get("/v1/models").json()["models"]}
    offered = {name: [way["objective"] for way in model["control"]] for name, model in models.items()}
    assert offered == {
        "tiny-dmc": ["reward", "goal"],
        "tiny-agents": [],
        "tiny-rnn": [],
        "tiny-push": ["push"],
    }
    (way,) = models["tiny-push"]["control"]
    assert (way["frames"], way["candidates"], way["iterations"], way["horizon"]) == (4, 48, 2, 8)
    assert models["tiny-push"]["limits"]["candidates"] == {"min": 2, "max": 512}


def test_a_pusher_may_have_more_joints_than_there_are_bodies(worlds: ModelService) -> None:
    ready = worlds.models["tiny-push"]
    arm = replace(ready, world=StructVRNN(ready.world.config.model_copy(update={"actions": 3})))
    with torch.inference_mode():
        assert drive(example_action(arm).work("cpu")).action.shape == (3,)


@pytest.mark.parametrize("reason", ["deadline", "cancelled"])
def test_nothing_is_drawn_when_the_work_is_to_end(worlds: ModelService, reason: Any) -> None:
    task: ActionTask = example_action(worlds.models["tiny-push"])
    with pytest.raises(Interrupted) as stopped:
        drive(task.work("cpu"), lambda _: reason)
    assert stopped.value.reason == reason
    answers = iter((None, reason))
    with pytest.raises(Interrupted):
        drive(task.work("cpu"), lambda _: next(answers))
    answers = iter((None, reason))
    assert drive(replace(task, render=False).work("cpu"), lambda _: next(answers)).pictures is None


@pytest.mark.parametrize(("task", "horizon"), [("cartpole-balance", 30), ("cheetah-run", 12)])
def test_a_task_is_looked_ahead_in_as_far_as_its_own_evaluation_does(
    world_http: TestClient, pushing: Any, task: str, horizon: int
) -> None:
    body = {"frames": [to_base64(pushing[0][0])], "objective": "reward", "task": task, "candidates": 2}
    assert post(world_http, body)["horizon"] == horizon
    models = {model["name"]: model for model in world_http.get("/v1/models").json()["models"]}
    horizons = {known["name"]: known["horizon"] for known in models["tiny-dmc"]["tasks"]}
    assert horizons[task] == horizon
