"""How the client talks to the server: fields out, replies and events in, errors as exceptions."""

from collections.abc import Generator
from typing import Any, TypeVar

import httpx2

from server.client.replies import ServerProblem
from server.schemas import Problem, Schema

R = TypeVar("R", bound=Schema)


class Calls:
    """The connections of a client. Everything raises ServerProblem if the server refuses, and
    httpx2.HTTPError if there is no reply.
    """

    def __init__(self, http: httpx2.Client) -> None:
        self._http = http

    def _post(
        self, path: str, response: type[R], headers: dict[str, str] | None = None, /, **fields: Any
    ) -> R:
        """Send what is not None."""
        reply = self._http.post(path, json=_present(fields), headers=headers)
        return response.model_validate_json(_checked(reply).content)

    def _get(self, path: str, response: type[R]) -> R:
        """Ask for something."""
        return response.model_validate_json(_checked(self._http.get(path)).content)

    def _delete(self, path: str) -> None:
        """Give something up."""
        _checked(self._http.delete(path))

    def _watch(
        self, path: str, fields: dict[str, Any] | None = None, headers: dict[str, str] | None = None
    ) -> Generator[tuple[str, str], None, None]:
        """Send fields, or ask for something, and give names and data of the events that come back.

        The last one is ``result``; an ``error`` is raised. Closing the generator closes the connection, which
        the server takes for leaving.
        """
        method, body = ("GET", None) if fields is None else ("POST", _present(fields))
        with self._http.sse(path, method=method, json=body, headers=headers, max_event_size=None) as events:
            if not events.response.is_success:
                events.response.read()
                _checked(events.response)
            name = None
            for event in events:
                name = event.event
                if name == "error":
                    raise ServerProblem(Problem.model_validate_json(event.data), None)
                yield name, event.data
        if name != "result":
            raise httpx2.RemoteProtocolError("The stream ended before the result came.")


def _present(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _checked(reply: httpx2.Response) -> httpx2.Response:
    """The reply if all is well, else ServerProblem, or httpx2.HTTPStatusError for a foreign error page."""
    if reply.is_success:
        return reply
    if reply.headers.get("content-type") == "application/problem+json":
        retry_after = reply.headers.get("retry-after")
        problem = Problem.model_validate_json(reply.content)
        raise ServerProblem(problem, None if retry_after is None else float(retry_after))
    return reply.raise_for_status()
