"""A stand-in for the service: what it says without doing the work."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
from playwright.sync_api import Request, Route

from server.http.pictures import to_base64


class StandIn:
    """Answers the page: ``replies[path]`` is a body, a problem, or a function of route and request."""

    def __init__(self) -> None:
        self.replies: dict[str, Any] = {}
        self.seen: list[Request] = []

    def sent(self, path: str) -> list[dict[str, Any]]:
        """Bodies that were posted there."""
        return [json.loads(seen.post_data or "{}") for seen in self.seen if seen.url.endswith(path)]

    def answer(self, route: Route, request: Request) -> None:
        self.seen.append(request)
        reply = self.replies["/" + request.url.split("/", 3)[3]]
        if callable(reply):
            reply(route, request)
        elif "status" in reply and "title" in reply:
            headers = {"Content-Type": "application/problem+json", "Retry-After": "1"}
            route.fulfill(status=reply["status"], headers=headers, body=json.dumps(reply))
        else:
            route.fulfill(json=reply)


def events(*messages: tuple[str, dict[str, Any]]) -> Callable[[Route, Request], None]:
    """A reply that is a stream of events, with a comment as servers send them to keep connections open."""
    blocks = [f"event: {name}\ndata: {json.dumps(data)}\n\n: ping\n\n" for name, data in messages]
    return lambda route, _: route.fulfill(content_type="text/event-stream", body="".join(blocks))


def computed(reply: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[Route, Request], None]:
    """A reply that depends on the body."""
    return lambda route, request: route.fulfill(json=reply(request.post_data_json))


def picture(*colour: int) -> str:
    """A plain picture as a base64 PNG."""
    return to_base64(np.full((64, 64, 3), colour, np.uint8))


def _range(low: int, high: int) -> dict[str, int]:
    return {"min": low, "max": high}


_REF = {"version": "1", "sha256": "ab" * 32, "weights_sha256": "cd" * 32, "image_size": 64}
_LIMITS = {"deadline_ms": _range(1, 60_000), "seed": _range(0, 2**63 - 1), "body_bytes": 4_194_304}
PLANNER = _REF | {
    "name": "planner",
    "kind": "planner",
    "keyframes": 2,
    "chooses_keyframes": False,
    "goal": "object",
    "follows": False,
    "defaults": {"samples": 200, "iterations": 2, "deadline_ms": 10_000},
    "limits": _LIMITS
    | {"samples": _range(2, 2000), "iterations": _range(1, 20), "work": 40_000}
    | {"keyframes": _range(2, 2)},
}
WORLD = _REF | {
    "name": "world",
    "kind": "world-model",
    "keypoints": 2,
    "actions": 1,
    "stochastic": True,
    "tasks": [{"name": "cartpole-balance", "horizon": 3}],
    "control": [],
    "defaults": {"deadline_ms": 10_000},
    "limits": _LIMITS | {"frames": _range(1, 20), "steps": _range(1, 50)},
}
CONTROLLER = _REF | {
    "name": "controller",
    "kind": "controller",
    "task": "cartpole-balance",
    "actions": 1,
    "detector_sha256": "ab" * 32,
    "control": [],
    "defaults": {"deadline_ms": 10_000},
    "limits": _LIMITS | {"frames": _range(1, 20)},
}
ENVIRONMENTS = [
    {
        "name": "push",
        "kind": "push",
        "steps": 100,
        "action_repeat": 1,
        "returns": None,
        "image_size": 64,
        "actions": 2,
        "gallery": [0, 1],
        "planners": ["planner"],
        "controllers": ["world"],
    },
    {
        "name": "cartpole-balance",
        "kind": "dmc",
        "steps": 250,
        "action_repeat": 4,
        "returns": {"random": 25.0, "simulator": 250.0, "manifest": "dmc-20"},
        "image_size": 64,
        "actions": 1,
        "gallery": [0],
        "planners": [],
        "controllers": ["world"],
    },
]
QUEUED = {"request_id": "r", "id": "p", "predicted_wait_ms": 0.0}
ITERATIONS = [
    message
    for n in (1, 2)
    for message in [
        (
            "iteration",
            {
                "iteration": n,
                "iterations": 2,
                "best_cost": None if n == 1 else 1.5,
                "mean_cost": 9.0 / n,
                "elite_std": 2.0,
                "elapsed_ms": 100.0 * n,
            },
        ),
        *(
            ("subgoal", {"iteration": n, "index": k, "step": 5.0 * k, "image": picture(60 * n, 0, 90 * k)})
            for k in (0, 1)
        ),
    ]
]
PLAN = {
    "model": {name: _REF.get(name, "planner") for name in ("name", "version", "sha256")},
    "seed": 7,
    "samples": 200,
    "iterations": 2,
    "iterations_run": 2,
    "stop_reason": "iterations",
    "start": {"object_position": {"x": 12.0, "y": 50.0}},
    "goal": {"object_position": {"x": 40.0, "y": 10.0}},
    "subgoals": [
        {
            "index": k,
            "step": 5.0 + 5 * k,
            "whole": k == 0,
            "image": picture(0, 200, 90 * k),
            "object_position": {"x": 20.0 + 10 * k, "y": 30.0} if k == 0 else None,
        }
        for k in (0, 1)
    ],
    "ends_at": 1,
    "cost": 1.8,
    "cost_history": [None, 1.5],
    "calibration": {"tone": None, "pitch_degrees": 0.0, "yaw_degrees": 0.0, "object_colour": None},
    "seen": None,
    "warnings": [],
    "digest": "9f" * 32,
    "id": "9f" * 32,
    "request_id": "r",
    "timings": {"decode_ms": 1.0, "queue_ms": 0.0, "plan_ms": 200.0, "encode_ms": 1.0, "total_ms": 202.0},
}


def plan(route: Route, request: Request) -> None:
    """The plan, another one for every seed: its digest is the last two digits of the seed again and again.

    As few keyframes as it takes are one.
    """
    seed = request.post_data_json["seed"]
    digest = PLAN["digest"] if seed == PLAN["seed"] else f"{seed % 100:02d}" * 32
    few = request.post_data_json.get("keyframes") in (1, "auto")
    made = (
        PLAN
        | {"seed": seed, "digest": digest, "id": digest}
        | ({"subgoals": PLAN["subgoals"][:1]} if few else {})
    )
    if count := request.post_data_json.get("alternatives"):
        others = [
            {"id": f"a{k}" * 32, "subgoals": PLAN["subgoals"], "cost": 3.5 + k, "ends_at": 1}
            for k in range(count)
        ]
        return route.fulfill(json=made | {"alternatives": others})
    searched = [(name, data) for name, data in ITERATIONS if not few or data.get("index") != 1]
    events(("queued", QUEUED), *searched, ("result", made))(route, request)


_SCENE = {"start": (90, 60, 30), "goal": (30, 60, 90)}


def scene(body: dict[str, Any]) -> dict[str, Any]:
    """A start and a goal of one colour each, or what was sent; there is one wall."""
    pictures = {name: body.get(name) or picture(*colour) for name, colour in _SCENE.items()}
    return {"environment": "push", "seed": body.get("seed"), "layout": {"walls": [{}]}} | pictures


def episode(route: Route, request: Request) -> None:
    """Five steps; those of the pushing task pursue two subgoals, the others earn something.

    With the seed 13 the puck stays where it was.
    """
    fails = request.post_data_json.get("episode_seed") == 13
    push = request.post_data_json["environment"] == "push"
    frames = [
        {
            "step": step,
            "image": picture(10 * step, 100, 0),
            "subgoal": min(1, step // 3) if push else None,
            "distance": (0.5 if fails else 0.5 / (1 + step)) if push else None,
            "object_position": {"x": 12.0 + 5 * step, "y": 50.0 - 8 * step} if push else None,
            "reward": None if push else 0.1 * step,
            "action": [0.0, 0.0],
        }
        for step in range(6)
    ]
    controls = request.post_data_json.get("model") == CONTROLLER["name"]
    result = {
        "environment": request.post_data_json["environment"],
        "seed": 3,
        "frames": [frame["image"] for frame in frames],
        "actions": [[0.0, 0.0]] * 5,
        "subgoals": [picture(0, 200, 0)] * 2 if push else [],
        "servo": request.post_data_json.get("servo", "learned"),
        "pursued": [0] * 5 if fails else [0, 0, 0, 1, 1],
        "success": not fails if push else None,
        "strict_success": False if push else None,
        "distance": (0.5 if fails else 0.08) if push else None,
        "initial_distance": 0.5 if push else None,
        "steps": 5,
        "rewards": None if push else [0.1, 0.2, 0.3, 0.4, 0.5],
        "forecast": [2.0] * 5 if controls else None,
        "discount": 0.5 if controls else None,
        "stop_reason": "steps" if fails else "goal",
        "digest": "8e" * 32,
        "request_id": "r",
    }
    stream = events(("queued", QUEUED), *(("frame", frame) for frame in frames), ("result", result))
    stream(route, request)


def keypoints(body: dict[str, Any]) -> dict[str, Any]:
    """The same two keypoints in every frame."""
    return {"keypoints": [_two_keypoints() for _ in body["frames"]]}


def clip(body: dict[str, Any]) -> dict[str, Any]:
    """The blue of a frame is its step; rewards grow by a tenth per step."""
    steps = range(body["steps"])
    return {
        "environment": body["environment"],
        "seed": body["seed"],
        "frames": [picture(0, 0, step) for step in range(body["steps"] + 1)],
        "actions": [[0.01 * step] for step in steps],
        "rewards": [0.1 * step for step in steps],
    }


def rewards(body: dict[str, Any]) -> dict[str, Any]:
    """Ten times the actions, and one too much."""
    predicted = [[10 * action[0] + 1 for action in actions] for actions in body["actions"]]
    return {
        "rewards": predicted,
        "returns": [sum(row) for row in predicted],
        "digest": "d",
        "request_id": "r",
    }


def predictions(body: dict[str, Any]) -> dict[str, Any]:
    """The green of a frame is its place in the future."""
    future = [picture(0, place, 0) for place in range(len(body["actions"]))]
    return {
        "mean": True,
        "seed": None,
        "context": [_two_keypoints() for _ in body["frames"]],
        "samples": [{"frames": future, "keypoints": [_two_keypoints() for _ in future]}],
        "digest": "d",
        "request_id": "r",
    }


def _two_keypoints() -> list[dict[str, float]]:
    return [{"x": 10.0, "y": 20.0, "scale": 1.0}, {"x": 40.0, "y": 20.0, "scale": 0.5}]
