"""Errors over HTTP: ``application/problem+json`` (RFC 9457) for everything, decided in one table.

No reply repeats what the request contained. The types are explained in ``server/README.md``.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import BaseRoute, Match

from server.errors import (
    Cancelled,
    DeadlinePassed,
    IdempotencyConflict,
    InvalidPicture,
    InvalidRequest,
    NoObject,
    NotReady,
    PlanLost,
    PredictedLate,
    QueueFull,
    QuotaExceeded,
    ShuttingDown,
    StrangePicture,
    TooMuchWork,
    UnknownEnvironment,
    UnknownModel,
    UnknownPlan,
    UnreadableScene,
    UnsupportedEncoding,
    UnsupportedMediaType,
    WrongModel,
)
from server.http.bodies import ascii_json
from server.http.headers import API
from server.schemas import FieldError

MEDIA_TYPE = "application/problem+json"
CLIENT_LEFT = 499
"""Not a registered status, but the usual one in logs for a client that left before the reply."""


@dataclass(frozen=True)
class Kind:
    """A type of problem: HTTP status, last part of its ``type`` and title."""

    status: int
    slug: str
    title: str

    @property
    def type(self) -> str:
        """The URI that names this type."""
        return f"urn:waymark:problem:{self.slug}"


INVALID_REQUEST = Kind(422, "invalid-request", "The request is not valid")
INTERNAL_ERROR = Kind(500, "internal-error", "Something went wrong on the server")
UNSUPPORTED = Kind(415, "unsupported-media-type", "The body has an unsupported media type")

KINDS: Mapping[type[Exception], Kind] = {
    InvalidRequest: INVALID_REQUEST,
    TooMuchWork: Kind(422, "too-much-work", "The request asks for too much work"),
    InvalidPicture: Kind(422, "invalid-picture", "A picture cannot be used"),
    StrangePicture: Kind(422, "strange-picture", "A picture shows another world"),
    NoObject: Kind(422, "no-object", "A picture does not show the object"),
    UnknownPlan: Kind(404, "unknown-plan", "There is no such plan"),
    UnknownModel: Kind(404, "unknown-model", "There is no such model"),
    UnknownEnvironment: Kind(404, "unknown-environment", "There is no such environment"),
    UnreadableScene: Kind(422, "unreadable-scene", "The pictures show no scene that can be set up"),
    WrongModel: Kind(422, "wrong-model", "The model cannot answer this"),
    UnsupportedMediaType: UNSUPPORTED,
    UnsupportedEncoding: UNSUPPORTED,
    IdempotencyConflict: Kind(422, "idempotency-conflict", "The key was used for another request"),
    Cancelled: Kind(409, "cancelled", "The work was cancelled"),
    QuotaExceeded: Kind(429, "quota-exceeded", "Too many requests of this key at once"),
    PredictedLate: Kind(503, "predicted-late", "The server is too busy for this deadline"),
    QueueFull: Kind(503, "queue-full", "The server is busy"),
    DeadlinePassed: Kind(503, "deadline-passed", "The deadline passed"),
    ShuttingDown: Kind(503, "shutting-down", "The server is shutting down"),
    PlanLost: Kind(500, "plan-lost", "The plan was lost"),
    NotReady: Kind(503, "not-ready", "The server is not ready"),
}
"""Which exception becomes which problem."""

HTTP_KINDS: Mapping[int, Kind] = {
    400: Kind(400, "bad-request", "The request cannot be read"),
    401: Kind(401, "unauthorized", "A valid key is needed"),
    403: Kind(403, "cross-site", "The request comes from a page of another site"),
    404: Kind(404, "not-found", "There is nothing here"),
    405: Kind(405, "method-not-allowed", "The method is not allowed here"),
    408: Kind(408, "request-timeout", "The request did not arrive in time"),
    413: Kind(413, "body-too-large", "The body is too large"),
    421: Kind(421, "forbidden-host", "The request is meant for another host"),
    431: Kind(431, "headers-too-large", "The head of the request is too large"),
}
"""Problems of plain HTTP, by status."""


def all_kinds() -> list[Kind]:
    """Every type of problem this server can answer with."""
    return list(dict.fromkeys([*KINDS.values(), *HTTP_KINDS.values(), INTERNAL_ERROR]))


def problem(
    request: Request,
    kind: Kind,
    detail: str,
    *,
    errors: list[FieldError] | None = None,
    headers: Mapping[str, str] | None = None,
    more: Mapping[str, object] | None = None,
) -> Response:
    """A reply that says what went wrong; ``more`` are fields that this type of problem has besides."""
    request_id = str(getattr(request.state, "request_id", ""))
    return Response(
        content(kind, detail, request_id, errors, more),
        status_code=kind.status,
        media_type=MEDIA_TYPE,
        # What fails unexpectedly is answered outside of all middleware, hence here too.
        headers={**API, **(headers or {}), "X-Request-Id": request_id},
    )


def content(
    kind: Kind,
    detail: str,
    request_id: str,
    errors: list[FieldError] | None = None,
    more: Mapping[str, object] | None = None,
) -> bytes:
    """The body of such a reply."""
    body: dict[str, object] = {
        "type": kind.type,
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
        "request_id": request_id,
        **(more or {}),
    }
    if errors:
        body["errors"] = [error.model_dump() for error in errors]
    return ascii_json(body)


def explain(error: Exception, request_id: str) -> bytes:
    """The body that an exception would be answered with, for those whose reply has begun."""
    kind = KINDS.get(type(error))
    if kind is not None:
        return content(kind, str(error), request_id, getattr(error, "errors", None))
    _log_unexpected(error, request_id)
    return content(INTERNAL_ERROR, _UNEXPECTED, request_id)


def install(app: FastAPI) -> None:
    """Answer every exception with a problem."""
    for error in KINDS:
        app.add_exception_handler(error, _known)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(ClientDisconnect, _left)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(Exception, _unexpected)


async def _known(request: Request, error: Exception) -> Response:
    retry_after = getattr(error, "retry_after", None)
    headers = getattr(error, "headers", {}) | (
        {} if retry_after is None else {"Retry-After": str(retry_after)}
    )
    return problem(
        request,
        KINDS[type(error)],
        str(error),
        errors=getattr(error, "errors", None),
        headers=headers,
        more=getattr(error, "more", None),
    )


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    phrase = HTTPStatus(error.status_code).phrase
    kind = HTTP_KINDS.get(error.status_code, Kind(error.status_code, "http-error", phrase))
    headers = {"Allow": _allowed(request)} if error.status_code == 405 else error.headers
    unrouted = error.status_code == 404 and error.detail == HTTPStatus.NOT_FOUND.phrase
    return problem(request, kind, _nowhere(request) if unrouted else str(error.detail), headers=headers)


def _nowhere(request: Request) -> str:
    path = request.scope["path"]
    if path.endswith("/") or "//" in path:
        return "There is no such path; those there are have single slashes, and none at the end."
    return "There is no such path; /openapi.json lists those there are."


_METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")


def _allowed(request: Request) -> str:
    """All methods of a path: the router names those of the first route alone."""
    scopes = {method: {**request.scope, "method": method} for method in _METHODS}
    routes: list[BaseRoute] = request.app.routes
    found = {
        method
        for method, scope in scopes.items()
        if any(route.matches(scope)[0] is Match.FULL for route in routes)
    }
    return ", ".join(sorted(found | ({"HEAD"} if "GET" in found else set())))


async def _left(request: Request, error: Exception) -> Response:
    # Nobody is there to read it.
    return Response(status_code=CLIENT_LEFT)


async def _validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    invalid = InvalidRequest(
        [FieldError(field=str(item["loc"][-1]), message=item["msg"]) for item in error.errors()]
    )
    return problem(request, INVALID_REQUEST, str(invalid), errors=invalid.errors)


async def _unexpected(request: Request, error: Exception) -> Response:
    _log_unexpected(error, getattr(request.state, "request_id", ""))
    return problem(request, INTERNAL_ERROR, _UNEXPECTED)


_UNEXPECTED = "The error is in the server's log under this request id."


def _log_unexpected(error: Exception, request_id: str) -> None:
    logging.getLogger(__name__).error("Request %s failed: %s", request_id, type(error).__name__)
