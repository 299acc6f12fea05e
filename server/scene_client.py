"""What the client can ask of simulated worlds: scenes, clips and episodes."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
from jaxtyping import Float, UInt8

from server.codecs import from_base64, to_base64
from server.episode_schemas import EpisodeResponse
from server.scene_schemas import ClipResponse, EnvironmentInfo, EnvironmentList, SceneResponse
from server.schemas import Schema
from server.tasks import Picture

R = TypeVar("R", bound=Schema)


@dataclass(frozen=True)
class SceneReply:
    """A pushing task: how the table is and how it should be."""

    response: SceneResponse
    start: Picture
    goal: Picture


@dataclass(frozen=True)
class ClipReply:
    """Random actions: ``frames[t + 1]`` is what ``actions[t]`` led to, and ``rewards[t]`` was paid there."""

    response: ClipResponse
    frames: UInt8[np.ndarray, "T H W 3"]
    actions: Float[np.ndarray, "T-1 A"]
    rewards: Float[np.ndarray, "T-1"]


@dataclass(frozen=True)
class EpisodeReply:
    """What was done: ``frames[t + 1]`` is what ``actions[t]`` led to; ``subgoals`` are the plan."""

    response: EpisodeResponse
    frames: UInt8[np.ndarray, "T H W 3"]
    actions: Float[np.ndarray, "T-1 A"]
    subgoals: UInt8[np.ndarray, "L H W 3"]


class SceneCalls(ABC):
    """The part of the client that is about simulated worlds. Everything raises as ``Client.plan`` does."""

    @abstractmethod
    def _post(self, path: str, response: type[R], **fields: Any) -> R:
        """Send what is not None."""

    @abstractmethod
    def _get(self, path: str, response: type[R]) -> R:
        """Ask for something."""

    def environments(self) -> list[EnvironmentInfo]:
        """The simulated environments, and who can do something in them."""
        return self._get("/v1/environments", EnvironmentList).environments

    def scene(
        self, environment: str = "push", *, seed: int | None = None, deadline_ms: int | None = None
    ) -> SceneReply:
        """Draw a pushing task."""
        response = self._post(
            "/v1/scenes", SceneResponse, environment=environment, seed=seed, deadline_ms=deadline_ms
        )
        return SceneReply(response, from_base64(response.start), from_base64(response.goal))

    def clip(
        self, environment: str, steps: int, *, seed: int | None = None, deadline_ms: int | None = None
    ) -> ClipReply:
        """Record random actions."""
        response = self._post(
            "/v1/clips",
            ClipResponse,
            environment=environment,
            steps=steps,
            seed=seed,
            deadline_ms=deadline_ms,
        )
        actions, rewards = np.array(response.actions, np.float32), np.array(response.rewards)
        return ClipReply(response, _pictures(response.frames), actions, rewards)

    def episode(
        self,
        environment: str = "push",
        *,
        seed: int | None = None,
        start: Picture | None = None,
        goal: Picture | None = None,
        plan: str | None = None,
        planner: str | None = None,
        servo: Literal["learned", "simulator"] | None = None,
        model: str | None = None,
        episode_seed: int | None = None,
        steps: int | None = None,
        deadline_ms: int | None = None,
    ) -> EpisodeReply:
        """Act until the goal is reached or the steps are over; what is left out is up to the server."""
        response = self._post(
            "/v1/episodes",
            EpisodeResponse,
            environment=environment,
            seed=seed,
            start=None if start is None else to_base64(start),
            goal=None if goal is None else to_base64(goal),
            plan=plan,
            planner=planner,
            servo=servo,
            model=model,
            episode_seed=episode_seed,
            steps=steps,
            deadline_ms=deadline_ms,
        )
        actions = np.array(response.actions, np.float32)
        return EpisodeReply(response, _pictures(response.frames), actions, _pictures(response.subgoals))


def _pictures(texts: list[str]) -> UInt8[np.ndarray, "T H W 3"]:
    """Of an empty list an array without rows."""
    return np.array([from_base64(text) for text in texts], np.uint8)
