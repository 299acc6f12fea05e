"""The API's description: every endpoint's errors, what is posted there, an example that works."""

from collections.abc import Container, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from server.http.problems import MEDIA_TYPE, Kind, all_kinds
from server.http.resource import Document, Resource
from server.models.service import ModelService
from server.schemas import Problem

_REF = "#/components/schemas/{model}"


def describe(app: FastAPI, service: ModelService, resources: Sequence[Resource]) -> Document:
    """The OpenAPI document."""
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        servers=[{"url": service.settings.root_path}] if service.settings.root_path else None,
    )
    bodies = {path: body for resource in resources for path, body in resource.bodies.items()}
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas.update(definitions(*(body.schema for body in bodies.values()), Problem))
    for resource in resources:
        for (path, method), statuses in resource.errors.items():
            operation = document["paths"][path][method]
            operation["responses"].update({str(status): _error(status) for status in sorted(statuses)})
    open_paths = frozenset[str]().union(*(resource.open_paths for resource in resources))
    _add_what_happens_anywhere(document, service.settings.keys_file is not None, open_paths)
    for path, body in bodies.items():
        operation = document["paths"][path]["post"]
        operation["requestBody"] = _json_body(body.schema, body.example(service))
        operation["responses"]["200"]["headers"] = _HEADERS
    for resource in resources:
        resource.describe(document)
    return document


def describe_stream(operation: dict[str, Any]) -> None:
    """Say that the reply of an operation may come as server-sent events."""
    operation["responses"]["200"]["content"]["text/event-stream"] = _STREAM


_STREAM = {
    "schema": {"type": "string"},
    "example": 'event: queued\ndata: {"request_id":"0b51c4f9","id":null,"predicted_wait_ms":0.0}\n\n',
}

# What stands between a request and its endpoint may answer too.
_ANYWHERE = (400, 401, 408, 413, 421, 431, 500)
_KEY = {
    "type": "http",
    "scheme": "bearer",
    "description": "A key that `python -m server.keys` has made; servers without keys need none.",
}
_CHANGING = frozenset({"post", "put", "patch", "delete"})


def _add_what_happens_anywhere(document: Document, keys: bool, open_paths: Container[str]) -> None:
    components = document["components"]
    components["responses"] = {f"Problem{status}": _error(status) for status in (*_ANYWHERE, 403, 404)}
    for unused in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(unused, None)
    components["securitySchemes"] = {"key": _KEY}
    # A server without keys takes one all the same: what talks to one server can talk to the other.
    document["security"] = [{"key": []}] if keys else [{}, {"key": []}]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            responses = operation["responses"]
            if "HTTPValidationError" in str(responses.get("422")):
                del responses["422"]  # Any string will do in a path; it finds something or nothing.
            more = ((403,) if method in _CHANGING else ()) + ((404,) if "{" in path else ())
            for status in _ANYWHERE + more:
                responses.setdefault(str(status), {"$ref": f"#/components/responses/Problem{status}"})
            if path in open_paths:
                operation["security"] = []


_HEADERS = {
    header: {"description": meaning, "schema": {"type": "string"}}
    for header, meaning in {
        "Server-Timing": "The timings of the reply, for browsers.",
        "X-Request-Id": "The name of the request, in logs too.",
    }.items()
}


def definitions(*schemas: type[BaseModel]) -> dict[str, Any]:
    """These and all that they are made of, by name."""
    _, found = models_json_schema([(schema, "validation") for schema in schemas], ref_template=_REF)
    definitions: dict[str, Any] = found["$defs"]
    return definitions


def reference(schema: type[BaseModel]) -> dict[str, Any]:
    """Where its definition stands."""
    return {"$ref": _REF.format(model=schema.__name__)}


def _error(status: int) -> dict[str, Any]:
    kinds = [kind for kind in all_kinds() if kind.status == status]
    return {
        "description": "; ".join(kind.title for kind in kinds) + ".",
        "content": {
            MEDIA_TYPE: {
                "schema": reference(Problem),
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


def _json_body(schema: type[BaseModel], example: dict[str, Any] | None) -> dict[str, Any]:
    form: dict[str, Any] = {"schema": reference(schema)}
    return {
        "required": True,
        "content": {"application/json": form if example is None else form | {"example": example}},
    }
