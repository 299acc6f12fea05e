"""What the client can ask about plans: at once, as they are made, or later."""

import time
from collections.abc import Generator
from typing import Any, Literal, TypedDict, Unpack
from urllib.parse import quote

import numpy as np
from jaxtyping import UInt8

from server.client.calls import Calls
from server.client.pictures import PictureLike, encode
from server.client.replies import PlanReply, ServerProblem, SubgoalReply
from server.http.pictures import from_base64
from server.plans.schemas import (
    PLAN_PATH,
    PLANS_PATH,
    IterationEvent,
    PlanResponse,
    PlanStatus,
    Subgoal,
    SubgoalEvent,
)
from server.schemas import Queued

PlanEvent = Queued | IterationEvent | SubgoalReply | PlanReply
"""What a stream of a plan brings; the last one is the plan."""

_POLL_SECONDS = 0.5


class PlanSettings(TypedDict, total=False):
    """How to plan; what is left out is up to the server."""

    model: str | None
    seed: int | None
    samples: int | None
    iterations: int | None
    keyframes: int | Literal["auto"] | None
    alternatives: int | None
    path: bool
    """Whether every frame on the way is to be sent along."""
    deadline_ms: int | None
    idempotency_key: str | None
    """The same key brings the same plan, so that a request can be sent again without planning twice."""


class PlanCalls(Calls):
    """The part of the client that is about plans. Everything raises as :meth:`plan` does."""

    def plan(self, start: PictureLike, goal: PictureLike, **settings: Unpack[PlanSettings]) -> PlanReply:
        """Plan from one picture to another; see :class:`PlanSettings`.

        Raises:
            ValueError: a picture is none; see :mod:`server.client.pictures`.
            ServerProblem: the server refused.
            httpx2.HTTPError: there was no reply.
        """
        headers, fields = _request(start, goal, settings)
        return _plan(self._post(PLANS_PATH, PlanResponse, headers, **fields))

    def watch_plan(
        self, start: PictureLike, goal: PictureLike, **settings: Unpack[PlanSettings]
    ) -> Generator[PlanEvent, None, None]:
        """The same, as the search goes on; nothing is sent before the first event is asked for.

        Whoever closes the generator has left, and the work stops.
        """
        headers, fields = _request(start, goal, settings)
        for name, data in self._watch(PLANS_PATH, fields, headers):
            yield from _event(name, data)

    def begin_plan(self, start: PictureLike, goal: PictureLike, **settings: Unpack[PlanSettings]) -> str:
        """Have a plan made without waiting for it; what it can be asked for by."""
        headers, fields = _request(start, goal, settings)
        headers["Prefer"] = "respond-async"
        return self._post(PLANS_PATH, PlanStatus, headers, **fields).id

    def plan_status(self, plan: str) -> PlanStatus:
        """How a plan stands that was asked for."""
        return self._get(_place(plan), PlanStatus)

    def follow_plan(self, plan: str) -> Generator[PlanEvent, None, None]:
        """What happens to a plan from now on. Whoever closes the generator does not stop the work."""
        for name, data in self._watch(_place(plan)):
            yield from _event(name, data)

    def wait_for_plan(self, plan: str, timeout: float = 70.0) -> PlanReply:
        """The plan, once it is done.

        Raises:
            TimeoutError: it is not after ``timeout`` seconds; it is still being made.
        """
        given_up = time.monotonic() + timeout
        while True:
            status = self.plan_status(plan)
            if status.result is not None:
                return _plan(status.result)
            if status.problem is not None:
                raise ServerProblem(status.problem, None)
            if time.monotonic() + _POLL_SECONDS > given_up:
                raise TimeoutError(f"plan {plan} is still {status.status} after {timeout:g} s")
            time.sleep(_POLL_SECONDS)

    def cancel_plan(self, plan: str) -> None:
        """End the work on a plan, for all who wait for it; a finished plan stays as it is."""
        self._delete(_place(plan))


def _request(
    start: PictureLike, goal: PictureLike, settings: PlanSettings
) -> tuple[dict[str, str], dict[str, Any]]:
    """Headers and fields."""
    fields: dict[str, Any] = {"start": encode(start), "goal": encode(goal), **settings}
    key = fields.pop("idempotency_key", None)
    return {} if key is None else {"Idempotency-Key": str(key)}, fields


def _place(plan: str) -> str:
    return PLAN_PATH.format(plan=quote(plan, safe=""))


def _plan(response: PlanResponse) -> PlanReply:
    alternatives = tuple(_images(other.subgoals) for other in response.alternatives or ())
    path = None if response.path is None else _path(response)
    return PlanReply(response, _images(response.subgoals), alternatives, path)


def _path(response: PlanResponse) -> UInt8[np.ndarray, "K H W 3"]:
    """The frames on the way; there are none where the goal is a step away."""
    frames = [from_base64(frame) for frame in response.path or ()]
    return np.stack(frames) if frames else _images(response.subgoals)[:0]


def _images(subgoals: list[Subgoal]) -> UInt8[np.ndarray, "L H W 3"]:
    return np.stack([from_base64(subgoal.image) for subgoal in subgoals])


def _event(name: str, data: str) -> Generator[PlanEvent, None, None]:
    """What it says, if it is known."""
    match name:
        case "queued":
            yield Queued.model_validate_json(data)
        case "iteration":
            yield IterationEvent.model_validate_json(data)
        case "subgoal":
            subgoal = SubgoalEvent.model_validate_json(data)
            yield SubgoalReply(subgoal, from_base64(subgoal.image))
        case "result":
            yield _plan(PlanResponse.model_validate_json(data))
