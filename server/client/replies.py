"""What :class:`server.client.Client` answers: what the server said, with pictures and numbers as
arrays.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from server.actions.schemas import ActionResponse
from server.http.pictures import Picture
from server.plans.schemas import PlanResponse, SubgoalEvent
from server.predictions.schemas import (
    InterpolationResponse,
    KeypointResponse,
    PredictionResponse,
    RewardResponse,
)
from server.schemas import Problem


class ServerProblem(Exception):
    """The server refused; ``problem`` says why, ``retry_after`` (seconds) when to come back, if it knows."""

    def __init__(self, problem: Problem, retry_after: float | None) -> None:
        message = f"{problem.title}: {problem.detail} ({problem.status}, request {problem.request_id})"
        super().__init__(message)
        self.problem = problem
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[type["ServerProblem"], tuple[Problem, float | None]]:
        """Exceptions are unpickled with their message alone unless told otherwise."""
        return ServerProblem, (self.problem, self.retry_after)


@dataclass(frozen=True)
class PlanReply:
    """A plan: ``images[k]`` is the picture of ``response.subgoals[k]``; ``alternatives`` has those of
    ``response.alternatives``, ``path`` the frames on the way, if they were asked for.
    """

    response: PlanResponse
    images: UInt8[np.ndarray, "L H W 3"]
    alternatives: tuple[UInt8[np.ndarray, "L H W 3"], ...] = ()
    path: UInt8[np.ndarray, "K H W 3"] | None = None


@dataclass(frozen=True)
class SubgoalReply:
    """A subgoal of the best candidate so far, while the search goes on."""

    response: SubgoalEvent
    image: Picture


@dataclass(frozen=True)
class RewardReply:
    """``rewards[i, l]`` comes on arriving at the ``l``-th frame that action sequence ``i`` leads to."""

    response: RewardResponse
    rewards: Float[np.ndarray, "N L"]


@dataclass(frozen=True)
class KeypointReply:
    """x, y in pixels (right, down) and scale of every keypoint."""

    response: KeypointResponse
    keypoints: Float[np.ndarray, "T K 3"]


@dataclass(frozen=True)
class Positions:
    """Where J objects are in T frames: normal distributions over x and y in pixels (right, down)."""

    means: Float[np.ndarray, "J T 2"]
    covariances: Float[np.ndarray, "J T 2 2"]


@dataclass(frozen=True)
class PredictionReply:
    """Futures; ``context`` has the observed keypoints after the edits, ``images`` are there if wanted.

    Models without keypoints have K = 0. Those that follow objects say where these were in the frames sent
    (``seen``) and will be after every step (``predicted``).
    """

    response: PredictionResponse
    context: Float[np.ndarray, "T K 3"]
    keypoints: Float[np.ndarray, "N L K 3"]
    images: UInt8[np.ndarray, "N L H W 3"] | None
    seen: Positions | None = None
    predicted: Positions | None = None


@dataclass(frozen=True)
class InterpolationReply:
    """What was in the missing frames; ``images`` are there if wanted."""

    response: InterpolationResponse
    positions: Positions
    images: UInt8[np.ndarray, "L H W 3"] | None


@dataclass(frozen=True)
class ActionReply:
    """The next action, the warm start to send with the next request, and all actions of the chosen sequence.

    ``images`` are the pictures expected after each of these, if wanted.
    """

    response: ActionResponse
    action: Float[np.ndarray, " A"]
    warm_start: Float[np.ndarray, "L A"]
    actions: Float[np.ndarray, "L A"]
    images: UInt8[np.ndarray, "L H W 3"] | None
