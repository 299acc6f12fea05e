"""What a plan is over HTTP: complete, good, and the same again for the same seed."""

import base64
import hashlib
import io
import json
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from server.app import create_app
from server.http.pictures import Picture, from_base64, to_base64
from server.models.service import ModelService
from server.plans.schemas import PlanContent
from server.schemas import digest

GOAL = (47.0, 16.0)


def content(reply: Any) -> dict[str, Any]:
    """The part of a reply that depends on the request alone."""
    assert reply.status_code == 200, reply.text
    return {name: reply.json()[name] for name in PlanContent.model_fields}


def test_plan_brings_the_puck_to_the_goal(http: TestClient, body: dict[str, Any]) -> None:
    plan = http.post("/v1/plans", json=body).json()
    assert plan["model"] == {"name": "toy", "version": "1", "sha256": "ab" * 32}
    assert plan["seed"] == 7 and plan["stop_reason"] == "iterations"
    assert [subgoal["index"] for subgoal in plan["subgoals"]] == list(range(6))
    assert [subgoal["step"] for subgoal in plan["subgoals"]] == [1, 2, 3, 4, 5, 6]
    assert plan["goal"]["object_position"] == pytest.approx({"x": GOAL[0], "y": GOAL[1]}, abs=0.5)
    last = plan["subgoals"][-1]
    distance = np.hypot(last["object_position"]["x"] - GOAL[0], last["object_position"]["y"] - GOAL[1])
    assert last["whole"] and distance < 8
    assert distance == pytest.approx(plan["cost"], abs=0.5)
    assert len(plan["cost_history"]) == plan["iterations_run"] == plan["iterations"] == 3
    assert plan["cost_history"] == sorted(plan["cost_history"], reverse=True)


def test_subgoal_images_show_the_puck_where_it_is_said_to_be(http: TestClient, body: dict[str, Any]) -> None:
    for subgoal in http.post("/v1/plans", json=body).json()["subgoals"]:
        with Image.open(io.BytesIO(base64.b64decode(subgoal["image"]))) as image:
            assert (image.format, image.size, image.mode) == ("PNG", (64, 64), "RGB")
            # The puck is magenta on brown: more blue than anything else.
            rows, columns = np.nonzero(np.asarray(image)[..., 2] > 150)
        if subgoal["whole"]:
            assert columns.mean() == pytest.approx(subgoal["object_position"]["x"], abs=1)
            assert rows.mean() == pytest.approx(subgoal["object_position"]["y"], abs=1)


def test_same_seed_same_plan_also_after_a_restart(
    http: TestClient, body: dict[str, Any], make_service: Callable[..., ModelService]
) -> None:
    first, second = (http.post("/v1/plans", json=body) for _ in range(2))
    service = make_service()
    with TestClient(create_app(service.settings, service), base_url="http://localhost") as restarted:
        third = restarted.post("/v1/plans", json=body)
    assert content(first) == content(second) == content(third)
    assert first.json()["digest"] == second.json()["digest"] == third.json()["digest"]
    other = http.post("/v1/plans", json=body | {"seed": 8})
    assert other.json()["digest"] != first.json()["digest"]


def test_digest_is_that_of_the_plan_as_canonical_json(http: TestClient, body: dict[str, Any]) -> None:
    reply = http.post("/v1/plans", json=body)
    canonical = json.dumps(content(reply), sort_keys=True, separators=(",", ":"))
    assert reply.json()["digest"] == hashlib.sha256(canonical.encode()).hexdigest()


def test_seed_is_drawn_and_returned(http: TestClient, body: dict[str, Any]) -> None:
    del body["seed"]
    first, second = (http.post("/v1/plans", json=body) for _ in range(2))
    assert first.json()["seed"] != second.json()["seed"]
    assert content(http.post("/v1/plans", json=body | {"seed": first.json()["seed"]})) == content(first)


def test_largest_seed_is_taken(http: TestClient, body: dict[str, Any]) -> None:
    assert http.post("/v1/plans", json=body | {"seed": 2**63 - 1}).json()["seed"] == 2**63 - 1


def test_form_and_json_give_the_same_plan(http: TestClient, body: dict[str, Any]) -> None:
    expected = content(http.post("/v1/plans", json=body | {"samples": 50}))
    files: dict[str, Any] = {
        name: (f"{name}.png", base64.b64decode(body[name]), "image/png") for name in ("start", "goal")
    }
    options = json.dumps({"seed": 7, "samples": 50})
    as_field = http.post("/v1/plans", files=files, data={"request": options})
    as_file = http.post("/v1/plans", files=files | {"request": ("r.json", options, "application/json")})
    assert content(as_field) == content(as_file) == expected
    assert content(http.post("/v1/plans", files=files))["samples"] == 200


def test_jpeg_is_taken(http: TestClient, body: dict[str, Any], picture_file: Callable[..., bytes]) -> None:
    body["goal"] = base64.b64encode(picture_file("JPEG", quality=95, subsampling=0)).decode()
    position = content(http.post("/v1/plans", json=body))["goal"]["object_position"]
    assert position == pytest.approx({"x": GOAL[0], "y": GOAL[1]}, abs=1)


@pytest.mark.parametrize("name", ["start", "goal"])
def test_pictures_without_exactly_one_puck(
    http: TestClient, body: dict[str, Any], empty_table: str, toy_bytes: Callable[..., Picture], name: str
) -> None:
    two = np.maximum(toy_bytes(12, 12), toy_bytes(50, 50))
    photo = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    for picture, sentence in (
        (empty_table, f"No puck was found in the {name} picture: 0 pixels have its colour, at least 12"),
        (to_base64(two), f"Not exactly one puck was found in the {name} picture"),
        (to_base64(photo), "12 to 52 are needed, in one place."),
    ):
        reply = http.post("/v1/plans", json=body | {name: picture})
        problem = reply.json()
        assert (reply.status_code, problem["type"]) == (422, "urn:waymark:problem:no-object")
        assert sentence in problem["detail"]
        assert [error["field"] for error in problem["errors"]] == [name]


def test_samples_and_iterations_are_those_asked_for(http: TestClient, body: dict[str, Any]) -> None:
    plan = content(http.post("/v1/plans", json=body | {"samples": 2, "iterations": 5}))
    assert (plan["samples"], plan["iterations"], plan["iterations_run"]) == (2, 5, 5)


def test_alternatives_are_other_plans_that_can_be_named(http: TestClient, body: dict[str, Any]) -> None:
    alone = http.post("/v1/plans", json=body).json()
    beside = http.post("/v1/plans", json=body | {"alternatives": 2}).json()
    assert "alternatives" not in alone and len(beside["alternatives"]) == 2
    assert beside["digest"] == alone["digest"]
    proper = {name: beside[name] for name in PlanContent.model_fields}
    plans = http.app.state.plans.of("anonymous")  # type: ignore[attr-defined]
    for other in beside["alternatives"]:
        assert other["subgoals"] != beside["subgoals"] and all(
            subgoal["whole"] for subgoal in other["subgoals"]
        )
        content = PlanContent.model_validate(proper | {name: other[name] for name in ("subgoals", "cost")})
        assert other["id"] == digest(content)
        assert np.array_equal(
            plans.subgoals(other["id"]), [from_base64(subgoal["image"]) for subgoal in other["subgoals"]]
        )
    assert http.post("/v1/plans", json=body | {"alternatives": 6}).status_code == 422


def test_deadline_ends_the_search_with_the_best_so_far(
    clock: Any, http: TestClient, body: dict[str, Any], gated: Any
) -> None:
    gated.rest, gated.rest_seconds = clock.sleep, 0.15
    plan = content(http.post("/v1/plans", json=body | {"deadline_ms": 400, "iterations": 20}))
    assert plan["stop_reason"] == "deadline"
    assert plan["iterations_run"] == 2 and len(plan["subgoals"]) == 6


def test_drain_ends_the_search_and_refuses_new_plans(
    http: TestClient, body: dict[str, Any], gated: Any, service: ModelService, eventually: Callable[..., None]
) -> None:
    gated.gate.clear()
    replies: list[Any] = []
    running, waiting = (
        threading.Thread(
            target=lambda: replies.append(http.post("/v1/plans", json=body | {"iterations": 20}))
        )
        for _ in range(2)
    )
    running.start()
    waiting.start()
    eventually(lambda: (gated.plans, service.engine.unfinished) == (1, 2))
    service.drain()
    assert http.get("/readyz").status_code == 503
    refused = http.post("/v1/plans", json=body)
    assert (refused.status_code, refused.json()["type"]) == (503, "urn:waymark:problem:shutting-down")
    gated.gate.set()
    running.join(20)
    waiting.join(20)
    assert [content(reply)["stop_reason"] for reply in replies] == ["cancelled"] * 2
    assert [content(reply)["iterations_run"] for reply in replies] == [1, 1]


def test_models_say_what_may_be_asked(http: TestClient) -> None:
    (model,) = http.get("/v1/models").json()["models"]
    assert (model["name"], model["image_size"], model["keyframes"]) == ("toy", 64, 6)
    assert model["defaults"] == {"samples": 200, "iterations": 3, "deadline_ms": 10_000}
    assert model["limits"]["work"] == 120_000
    assert model["limits"]["samples"] == {"min": 2, "max": 20_000}


def test_ready_only_after_the_warm_up_plan(
    make_service: Callable[..., ModelService], gated: Any, eventually: Callable[..., None]
) -> None:
    gated.gate.clear()
    service = make_service()
    with TestClient(create_app(service.settings, service), base_url="http://localhost") as client:
        assert client.get("/livez").json() == {"status": "alive"}
        warming = client.get("/readyz")
        assert (warming.status_code, warming.json()["type"]) == (503, "urn:waymark:problem:not-ready")
        gated.gate.set()
        eventually(lambda: client.get("/readyz").status_code == 200)
        assert gated.plans == 2


def test_request_id_and_timings_are_in_body_and_headers(http: TestClient, body: dict[str, Any]) -> None:
    reply = http.post("/v1/plans", json=body, headers={"X-Request-Id": "mine-1"})
    assert reply.headers["X-Request-Id"] == reply.json()["request_id"] == "mine-1"
    timings = reply.json()["timings"]
    assert set(timings) == {"decode_ms", "queue_ms", "plan_ms", "encode_ms", "total_ms"}
    assert all(value >= 0 for value in timings.values())
    assert sum(timings.values()) <= 2 * timings["total_ms"] + 0.01
    assert f"plan;dur={timings['plan_ms']}" in reply.headers["Server-Timing"]
    odd = http.get("/livez", headers={"X-Request-Id": "not plain!"})
    assert odd.headers["X-Request-Id"].isalnum() and len(odd.headers["X-Request-Id"]) == 32


def test_description_has_an_example_that_works_and_every_problem(http: TestClient) -> None:
    document = http.get("/openapi.json").json()
    operation = document["paths"]["/v1/plans"]["post"]
    assert http.post(
        "/v1/plans", json=operation["requestBody"]["content"]["application/json"]["example"]
    ).is_success
    own = {"200", "202", "404", "409", "415", "429", "422", "500", "503"}
    assert own | {"400", "401", "403", "408", "413", "421", "431"} <= set(operation["responses"])
    for status, response in operation["responses"].items():
        if "$ref" in response:
            response = document["components"]["responses"][response["$ref"].rpartition("/")[2]]
        kinds = {"200": ["application/json", "text/event-stream"], "202": ["application/json"]}
        assert list(response["content"]) == kinds.get(status, ["application/problem+json"])
    text = json.dumps(document)
    for name in (part.split('"')[0] for part in text.split("#/components/schemas/")[1:]):
        assert name in document["components"]["schemas"]
