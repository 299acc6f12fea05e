"""The API's description: every endpoint's errors, both forms of a request, an example that works."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from server.codecs import to_base64
from server.problems import MEDIA_TYPE, Kind, all_kinds
from server.schemas import PlanOptions, PlanRequest, Problem
from server.service import PlanService, example_picture

_REF = "#/components/schemas/{model}"

# The statuses each endpoint may answer with, beside success.
_ERRORS = {
    ("/livez", "get"): {500},
    ("/readyz", "get"): {500, 503},
    ("/v1/models", "get"): {500},
    ("/v1/plans", "post"): {400, 404, 413, 415, 422, 500, 503},
}


def describe(app: FastAPI, service: PlanService) -> dict[str, Any]:
    """The OpenAPI document."""
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas.update(_definitions(PlanRequest, PlanOptions, Problem))
    for (path, method), statuses in _ERRORS.items():
        operation = document["paths"][path][method]
        operation["responses"].update({str(status): _error(status) for status in sorted(statuses)})
    plans = document["paths"]["/v1/plans"]["post"]
    plans["requestBody"] = _request_body(service)
    for header, meaning in {
        "Server-Timing": "The timings of the reply, for browsers.",
        "X-Request-Id": "The name of the request, in logs too.",
    }.items():
        plans["responses"]["200"].setdefault("headers", {})[header] = {
            "description": meaning,
            "schema": {"type": "string"},
        }
    return document


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
    } | ({"headers": {"Retry-After": _RETRY_AFTER}} if status == 503 else {})


_RETRY_AFTER = {"description": "Seconds after which to try again.", "schema": {"type": "integer"}}


def _example_problem(kind: Kind) -> dict[str, Any]:
    return {
        "type": kind.type,
        "title": kind.title,
        "status": kind.status,
        "detail": f"{kind.title}, in a sentence about this request.",
        "request_id": "0b51c4f9e6c24f56a1f6a9a3f1f6a5d2",
    }


def _request_body(service: PlanService) -> dict[str, Any]:
    json_form: dict[str, Any] = {"schema": {"$ref": _REF.format(model="PlanRequest")}}
    if service.models:
        model = service.model(None)
        picture = to_base64(example_picture(model))
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
