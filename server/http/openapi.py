"""The API's description: every endpoint's errors, both forms of a request, an example that works."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from planner.loaded import ReadyKalman, ReadySVG
from server.actions.schemas import ActionRequest
from server.actions.task import example_action, objectives
from server.episodes.reading import example_episode
from server.episodes.schemas import EpisodeRequest
from server.http.auth import OPEN_PATHS
from server.http.bodies import to_base64
from server.http.problems import MEDIA_TYPE, Kind, all_kinds
from server.models.service import ModelService
from server.plans.openapi import describe_plans, describe_stream
from server.plans.schemas import PlanOptions, PlanRequest
from server.plans.task import square_picture
from server.predictions import schemas as worlds
from server.predictions.keypoint_task import example_prediction
from server.predictions.video_task import example_interpolation, example_track, example_video
from server.scenes.schemas import ClipRequest, SceneRequest
from server.schemas import Problem

_REF = "#/components/schemas/{model}"

# The statuses each endpoint may answer with, beside success.
_ERRORS = {
    ("/livez", "get"): {500, 503},
    ("/readyz", "get"): {422, 500, 503},
    ("/metrics", "get"): {500},
    ("/v2", "get"): {500},
    ("/v2/health/live", "get"): {500, 503},
    ("/v2/health/ready", "get"): {500, 503},
    ("/v2/models/{name}", "get"): {404, 422, 500},
    ("/v2/models/{name}/versions/{version}", "get"): {404, 422, 500},
    ("/v2/models/{name}/ready", "get"): {404, 422, 500, 503},
    ("/v2/models/{name}/versions/{version}/ready", "get"): {404, 422, 500, 503},
    ("/v1/models", "get"): {500},
    ("/v1/plans", "post"): {400, 404, 409, 413, 415, 422, 429, 500, 503},
    ("/v1/plans/{plan}", "get"): {404, 409, 500, 503},
    ("/v1/plans/{plan}", "delete"): {404, 500},
    ("/v1/rewards", "post"): {404, 413, 415, 422, 429, 500, 503},
    ("/v1/keypoints", "post"): {404, 413, 415, 422, 429, 500, 503},
    ("/v1/predictions", "post"): {404, 413, 415, 422, 429, 500, 503},
    ("/v1/interpolations", "post"): {404, 413, 415, 422, 429, 500, 503},
    ("/v1/actions", "post"): {404, 413, 415, 422, 429, 500, 503},
    ("/v1/environments", "get"): {500},
    ("/v1/scenes", "post"): {404, 413, 415, 422, 429, 500, 503},
    ("/v1/clips", "post"): {404, 413, 415, 422, 429, 500, 503},
    ("/v1/episodes", "post"): {404, 413, 415, 422, 429, 500, 503},
}
_REQUESTS = (
    PlanRequest,
    PlanOptions,
    worlds.RewardRequest,
    worlds.KeypointRequest,
    worlds.PredictionRequest,
    worlds.InterpolationRequest,
    ActionRequest,
    SceneRequest,
    ClipRequest,
    EpisodeRequest,
)


def describe(app: FastAPI, service: ModelService) -> dict[str, Any]:
    """The OpenAPI document."""
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas.update(_definitions(*_REQUESTS, Problem))
    for (path, method), statuses in _ERRORS.items():
        operation = document["paths"][path][method]
        operation["responses"].update({str(status): _error(status) for status in sorted(statuses)})
    _add_what_happens_anywhere(document, service.settings.keys_file is not None)
    for path, body in _bodies(service).items():
        operation = document["paths"][path]["post"]
        operation["requestBody"] = body
        operation["responses"]["200"]["headers"] = _HEADERS
    describe_plans(document["paths"])
    describe_stream(document["paths"]["/v1/episodes"]["post"])
    return document


# What stands between a request and its endpoint may answer too.
_ANYWHERE = (400, 401, 408, 413, 421, 431, 500)
_CHANGING = frozenset({"post", "put", "patch", "delete"})


def _add_what_happens_anywhere(document: dict[str, Any], keys: bool) -> None:
    components = document["components"]
    components["responses"] = {f"Problem{status}": _error(status) for status in (*_ANYWHERE, 403, 404)}
    for unused in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(unused, None)
    if keys:
        components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"key": []}]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            responses = operation["responses"]
            if "HTTPValidationError" in str(responses.get("422")):
                del responses["422"]  # Any string will do in a path; it finds something or nothing.
            more = ((403,) if method in _CHANGING else ()) + ((404,) if "{" in path else ())
            for status in _ANYWHERE + more:
                responses.setdefault(str(status), {"$ref": f"#/components/responses/Problem{status}"})
            if keys and path in OPEN_PATHS:
                operation["security"] = []


_HEADERS = {
    header: {"description": meaning, "schema": {"type": "string"}}
    for header, meaning in {
        "Server-Timing": "The timings of the reply, for browsers.",
        "X-Request-Id": "The name of the request, in logs too.",
    }.items()
}


def _definitions(*schemas: type[BaseModel]) -> dict[str, Any]:
    _, found = models_json_schema([(schema, "validation") for schema in schemas], ref_template=_REF)
    definitions: dict[str, Any] = found["$defs"]
    return definitions


def _error(status: int) -> dict[str, Any]:
    kinds = [kind for kind in all_kinds() if kind.status == status]
    return {
        "description": "; ".join(kind.title for kind in kinds) + ".",
        "content": {
            MEDIA_TYPE: {
                "schema": {"$ref": _REF.format(model="Problem")},
                "examples": {kind.slug: {"value": _example_problem(kind)} for kind in kinds},
            }
        },
    } | ({"headers": {"Retry-After": _RETRY_AFTER}} if status in (429, 503) else {})


_RETRY_AFTER = {"description": "Seconds after which to try again.", "schema": {"type": "integer"}}


def _example_problem(kind: Kind) -> dict[str, Any]:
    return {
        "type": kind.type,
        "title": kind.title,
        "status": kind.status,
        "detail": f"{kind.title}, in a sentence about this request.",
        "request_id": "0b51c4f9e6c24f56a1f6a9a3f1f6a5d2",
    }


def _bodies(service: ModelService) -> dict[str, Any]:
    """The request body of every endpoint that takes one."""
    rewards, keypoints, predictions = _world_examples(service)
    interpolations = _interpolation_example(service)
    if predictions is None:
        predictions = _video_example(service)
    return {
        "/v1/plans": _plan_body(service),
        "/v1/rewards": _json_body(worlds.RewardRequest, rewards),
        "/v1/keypoints": _json_body(worlds.KeypointRequest, keypoints),
        "/v1/predictions": _json_body(worlds.PredictionRequest, predictions),
        "/v1/interpolations": _json_body(worlds.InterpolationRequest, interpolations),
        "/v1/actions": _json_body(ActionRequest, _action_example(service)),
        "/v1/scenes": _json_body(SceneRequest, {"environment": "push", "seed": 3}),
        "/v1/clips": _json_body(ClipRequest, {"environment": "cartpole-balance", "seed": 3, "steps": 20}),
        "/v1/episodes": _json_body(EpisodeRequest, example_episode(service)),
    }


def _json_body(schema: type[BaseModel], example: dict[str, Any] | None) -> dict[str, Any]:
    form: dict[str, Any] = {"schema": {"$ref": _REF.format(model=schema.__name__)}}
    return {
        "required": True,
        "content": {"application/json": form if example is None else form | {"example": example}},
    }


def _world_examples(service: ModelService) -> list[dict[str, Any] | None]:
    """Examples for rewards, keypoints and predictions; None where no model could answer."""
    examples: list[dict[str, Any] | None] = [None, None, None]
    for model in service.world_models[:1]:
        task = example_prediction(model)
        frames = {"model": model.name, "frames": [to_base64(frame) for frame in task.seen.frames]}
        actions = task.actions.tolist()
        context = frames | ({"past_actions": task.seen.actions.tolist()} if model.world.decision_dim else {})
        future = {"actions": actions} if model.world.decision_dim else {"steps": len(actions)}
        edit = {"frame": 1, "keypoint": 0, "dx": 4.0, "dy": 0.0}
        examples[1:] = [frames, context | future | {"edits": [edit]}]
    for model in service.reward_models[:1]:
        name, ready = next(iter(model.heads.items()))
        still = [[0.0] * ready.head.config.actions]
        frame = to_base64(example_prediction(model).seen.frames[0])
        examples[0] = {"model": model.name, "task": name, "frames": [frame], "actions": [still, still]}
    return examples


def _video_example(service: ModelService) -> dict[str, Any] | None:
    """An example for predictions by the first other model that can make any."""
    for model in service.predicting(None)[:1]:
        if isinstance(model, ReadyKalman):
            task = example_track(model)
            frames = [to_base64(frame) for frame in task.frames]
            return {"model": model.name, "frames": frames, "steps": task.steps, "objects": task.objects}
        if isinstance(model, ReadySVG):
            video = example_video(model)
            frames = [to_base64(frame) for frame in video.seen.frames]
            past = {"past_actions": video.seen.actions.tolist(), "actions": video.actions.tolist()}
            future = past if video.actions.shape[1] else {"steps": len(video.actions)}
            return {"model": model.name, "frames": frames} | future
    return None


def _interpolation_example(service: ModelService) -> dict[str, Any] | None:
    """An example for interpolations; None where no model could answer."""
    for model in service.tracking_models[:1]:
        task = example_interpolation(model)
        before, after = ([to_base64(frame) for frame in frames] for frames in (task.before, task.after))
        sides = {"model": model.name, "before": before, "after": after}
        return sides | {"steps": task.steps, "objects": task.objects}
    return None


def _action_example(service: ModelService) -> dict[str, Any] | None:
    """An example for actions; None where no model can act."""
    for model in [model for model in service.world_models if objectives(model)][:1]:
        task = example_action(model)
        example = {"model": model.name, "objective": task.objective, "seed": 7}
        context = {
            "frames": [to_base64(frame) for frame in task.seen.frames],
            "past_actions": task.seen.actions.tolist(),
        }
        subgoal = {} if task.subgoal is None else {"subgoal": to_base64(task.subgoal)}
        return example | context | subgoal | ({} if task.task is None else {"task": task.task})
    return None


def _plan_body(service: ModelService) -> dict[str, Any]:
    json_form: dict[str, Any] = {"schema": {"$ref": _REF.format(model="PlanRequest")}}
    for model in service.planners[:1]:
        picture = to_base64(square_picture(model.image_size, model.segmenter))
        json_form["example"] = {"model": model.name, "start": picture, "goal": picture, "seed": 7}
    file_part = {"type": "string", "contentMediaType": "image/png"}
    parts = {
        "type": "object",
        "required": ["start", "goal"],
        "additionalProperties": False,
        "properties": {
            "start": file_part,
            "goal": file_part,
            "request": {"$ref": _REF.format(model="PlanOptions")},
        },
    }
    return {
        "required": True,
        "content": {
            "application/json": json_form,
            "multipart/form-data": {
                "schema": parts,
                "encoding": {
                    "start": {"contentType": "image/png, image/jpeg"},
                    "goal": {"contentType": "image/png, image/jpeg"},
                    "request": {"contentType": "application/json"},
                },
            },
        },
    }
