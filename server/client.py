"""A small client: pictures in and out as arrays, errors as exceptions."""

from dataclasses import dataclass
from types import TracebackType
from typing import Any

import httpx2
import numpy as np
from jaxtyping import UInt8

from server.codecs import Picture, from_base64, to_base64
from server.schemas import ModelInfo, ModelList, PlanResponse, Problem


class ServerProblem(Exception):
    """The server refused; ``problem`` says why, ``retry_after`` (seconds) when to come back, if it knows."""

    def __init__(self, problem: Problem, retry_after: float | None) -> None:
        super().__init__(
            f"{problem.title}: {problem.detail} ({problem.status}, request {problem.request_id})"
        )
        self.problem = problem
        self.retry_after = retry_after


@dataclass(frozen=True)
class PlanReply:
    """A plan: ``images[k]`` is the picture of ``response.subgoals[k]``."""

    response: PlanResponse
    images: UInt8[np.ndarray, "L H W 3"]


class Client:
    """Talks to one server. Use it in a ``with`` block, or call :meth:`close`."""

    def __init__(self, url: str = "http://127.0.0.1:8000", timeout: float = 70.0) -> None:
        """``timeout`` in seconds, for connecting and for each reply."""
        self._http = httpx2.Client(base_url=url, timeout=timeout)

    def plan(
        self,
        start: Picture,
        goal: Picture,
        *,
        model: str | None = None,
        seed: int | None = None,
        samples: int | None = None,
        iterations: int | None = None,
        deadline_ms: int | None = None,
    ) -> PlanReply:
        """Plan from one picture to another; what is left out is up to the server.

        Raises:
            ServerProblem: the server refused.
            httpx2.HTTPError: there was no reply.
        """
        options = {
            "model": model,
            "seed": seed,
            "samples": samples,
            "iterations": iterations,
            "deadline_ms": deadline_ms,
        }
        body: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
        body |= {"start": to_base64(start), "goal": to_base64(goal)}
        reply = self._http.post("/v1/plans", json=body)
        response = PlanResponse.model_validate_json(_checked(reply).content)
        return PlanReply(response, np.stack([from_base64(subgoal.image) for subgoal in response.subgoals]))

    def models(self) -> list[ModelInfo]:
        """The models of the server, the default one first. Raises as :meth:`plan` does."""
        return ModelList.model_validate_json(_checked(self._http.get("/v1/models")).content).models

    def ready(self) -> bool:
        """Whether plans may be sent; False also while nobody listens."""
        try:
            return self._http.get("/readyz").status_code == httpx2.codes.OK
        except httpx2.TransportError:
            return False

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _checked(reply: httpx2.Response) -> httpx2.Response:
    """The reply if all is well, else ServerProblem, or httpx2.HTTPStatusError for a foreign error page."""
    if reply.is_success:
        return reply
    if reply.headers.get("content-type") == "application/problem+json":
        retry_after = reply.headers.get("retry-after")
        problem = Problem.model_validate_json(reply.content)
        raise ServerProblem(problem, None if retry_after is None else float(retry_after))
    return reply.raise_for_status()
