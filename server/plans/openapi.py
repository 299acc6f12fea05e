"""What the API's description says of both forms of a request for a plan, and of its modes."""

from typing import Any

from server.http.openapi import definitions, describe_stream, reference
from server.http.resource import Document
from server.plans.schemas import PLAN_PATH, PLANS_PATH, PlanOptions, PlanStatus

_PICTURES = {"contentType": "image/png, image/jpeg"}


def describe_plans(document: Document) -> None:
    """Complete the operations on plans, asked for at once, later, or as a stream."""
    document["components"]["schemas"].update(definitions(PlanOptions))
    paths = document["paths"]
    create = paths[PLANS_PATH]["post"]
    create["requestBody"]["content"]["multipart/form-data"] = _form()
    create.setdefault("parameters", []).extend(
        [
            _header("Prefer", "`respond-async`: answer 202 at once; the plan is to be asked for.", {}),
            _header(
                "Idempotency-Key",
                "A repeated request with the same key and body brings the plan of the first one.",
                {"minLength": 1, "maxLength": 255},
            ),
        ]
    )
    create["responses"]["202"] = {
        "description": "The plan was begun; ask for it at `Location`.",
        "headers": {
            "Location": {"description": "Path of the plan.", "schema": {"type": "string"}},
            "Preference-Applied": {"description": "`respond-async`.", "schema": {"type": "string"}},
        },
        "content": {"application/json": {"schema": reference(PlanStatus)}},
    }
    find = paths[PLAN_PATH]["get"]
    find.setdefault("parameters", []).append(
        _header("If-None-Match", "The `ETag` of an earlier reply.", {"maxLength": 200})
    )
    find["responses"]["304"] = {"description": "Nothing has changed."}
    find["responses"]["200"]["headers"] = {
        "ETag": {"description": "Of a plan that has ended.", "schema": {"type": "string"}},
        "Retry-After": {
            "description": "Seconds after which to ask again.",
            "schema": {"type": "integer"},
        },
    }
    describe_stream(create)
    describe_stream(find)


def _form() -> dict[str, Any]:
    # Some readers know a file by its format, as in OpenAPI 3.0, others by its media type alone.
    file_part = {"type": "string", "format": "binary", "contentMediaType": "image/png"}
    return {
        "schema": {
            "type": "object",
            "required": ["start", "goal"],
            "additionalProperties": False,
            "properties": {"start": file_part, "goal": file_part, "request": reference(PlanOptions)},
        },
        "encoding": {
            "start": _PICTURES,
            "goal": _PICTURES,
            "request": {"contentType": "application/json"},
        },
    }


def _header(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": description,
        "schema": {"type": "string", **schema},
    }
