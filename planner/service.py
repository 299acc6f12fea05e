"""What the planner needs of a client of the server, which it does not import."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8

Picture = UInt8[np.ndarray, "H W 3"]


class Refusal(Exception):
    """The server refused; ``retry_after`` (seconds) says when to come back, if it knows."""

    def __init__(self, message: str, retry_after: float | None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@runtime_checkable
class PlanReply(Protocol):
    """A plan; ``response.stop_reason`` says whether the search went through."""

    @property
    def response(self) -> Any: ...
    @property
    def images(self) -> UInt8[np.ndarray, "L H W 3"]: ...


@runtime_checkable
class ActionReply(Protocol):
    """The next action, the warm start of the step after it, and all actions chosen."""

    @property
    def response(self) -> Any: ...
    @property
    def action(self) -> Float[np.ndarray, " A"]: ...
    @property
    def warm_start(self) -> Float[np.ndarray, "L A"]: ...
    @property
    def actions(self) -> Float[np.ndarray, "L A"]: ...


@runtime_checkable
class Service(Protocol):
    """A client of the server, such as :class:`server.client.Client`.

    All but ``ready`` raise Refusal, and httpx2.HTTPError if there is no reply.
    """

    def ready(self) -> bool:
        """Whether requests may be sent."""
        ...

    def models(self) -> Sequence[Any]:
        """The models of the server, each with ``name``, ``kind`` and ``weights_sha256``; world models with
        ``control``, what actions can be asked for.
        """
        ...

    def plan(
        self, start: Picture, goal: Picture, *, model: str, seed: int, samples: int, iterations: int
    ) -> PlanReply:
        """A plan from one picture to another."""
        ...

    def act(
        self,
        frames: UInt8[np.ndarray, "T H W 3"],
        subgoal: Picture,
        *,
        past_actions: Float[np.ndarray, "T-1 A"],
        warm_start: Float[np.ndarray, "L A"] | None,
        seed: int,
        candidates: int,
        iterations: int,
        horizon: int,
        model: str,
    ) -> ActionReply:
        """The next action toward a subgoal."""
        ...
