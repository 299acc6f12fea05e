"""What the API's description says of the modes of ``/v1/plans`` and of streams."""

from typing import Any

_STREAM = {
    "schema": {"type": "string"},
    "example": 'event: queued\ndata: {"request_id":"0b51c4f9","id":null,"predicted_wait_ms":0.0}\n\n',
}
_STATUS = {"$ref": "#/components/schemas/PlanStatus"}


def describe_plans(paths: dict[str, Any]) -> None:
    """Complete the operations on plans, asked for at once, later, or as a stream."""
    create = paths["/v1/plans"]["post"]
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
        "content": {"application/json": {"schema": _STATUS}},
    }
    find = paths["/v1/plans/{plan}"]["get"]
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


def describe_stream(operation: dict[str, Any]) -> None:
    """Say that the reply of an operation may come as server-sent events."""
    operation["responses"]["200"]["content"]["text/event-stream"] = _STREAM


def _header(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": description,
        "schema": {"type": "string", **schema},
    }
