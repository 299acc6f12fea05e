"""What the client can ask of simulated worlds: scenes, clips and episodes."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, Unpack

import numpy as np
from jaxtyping import Float, UInt8

from server.client.calls import Calls
from server.client.pictures import PictureLike, encode
from server.episodes.schemas import EPISODES_PATH, EpisodeResponse, FrameEvent
from server.http.pictures import Picture, from_base64
from server.scenes.schemas import (
    CLIPS_PATH,
    ENVIRONMENTS_PATH,
    SCENES_PATH,
    ClipResponse,
    EnvironmentInfo,
    EnvironmentList,
    SceneResponse,
)
from server.schemas import Queued


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
    rewards: Float[np.ndarray, " T-1"]


@dataclass(frozen=True)
class EpisodeReply:
    """What was done: ``frames[t + 1]`` is what ``actions[t]`` led to; ``subgoals`` are the plan."""

    response: EpisodeResponse
    frames: UInt8[np.ndarray, "T H W 3"]
    actions: Float[np.ndarray, "T-1 A"]
    subgoals: UInt8[np.ndarray, "L H W 3"]


@dataclass(frozen=True)
class FrameReply:
    """A running episode: the start, or what a step led to."""

    response: FrameEvent
    image: Picture


EpisodeEvent = Queued | FrameReply | EpisodeReply
"""What a stream of an episode brings; the last one is the whole of it."""


class EpisodeSettings(TypedDict, total=False):
    """What to act from, with what and for how long; what is left out is up to the server."""

    seed: int | None
    start: Picture | None
    goal: Picture | None
    plan: str | None
    planner: str | None
    servo: Literal["learned", "simulator"] | None
    model: str | None
    episode_seed: int | None
    steps: int | None
    deadline_ms: int | None


class SceneCalls(Calls):
    """The part of the client that is about simulated worlds. Everything raises as ``Client.plan`` does."""

    def environments(self) -> list[EnvironmentInfo]:
        """The simulated environments, and who can do something in them."""
        return self._get(ENVIRONMENTS_PATH, EnvironmentList).environments

    def scene(
        self,
        environment: str = "push",
        *,
        seed: int | None = None,
        start: PictureLike | None = None,
        goal: PictureLike | None = None,
        deadline_ms: int | None = None,
    ) -> SceneReply:
        """Draw a pushing task, or see whether one can be read off pictures ``[H, W, 3]``."""
        response = self._post(
            SCENES_PATH,
            SceneResponse,
            environment=environment,
            seed=seed,
            start=None if start is None else encode(start),
            goal=None if goal is None else encode(goal),
            deadline_ms=deadline_ms,
        )
        return SceneReply(response, from_base64(response.start), from_base64(response.goal))

    def clip(
        self, environment: str, steps: int, *, seed: int | None = None, deadline_ms: int | None = None
    ) -> ClipReply:
        """Record random actions."""
        response = self._post(
            CLIPS_PATH,
            ClipResponse,
            environment=environment,
            steps=steps,
            seed=seed,
            deadline_ms=deadline_ms,
        )
        actions, rewards = np.array(response.actions, np.float32), np.array(response.rewards)
        return ClipReply(response, _pictures(response.frames), actions, rewards)

    def episode(self, environment: str = "push", **settings: Unpack[EpisodeSettings]) -> EpisodeReply:
        """Act until the goal is reached or the steps are over."""
        return _episode(self._post(EPISODES_PATH, EpisodeResponse, **_fields(environment, settings)))

    def watch_episode(
        self, environment: str = "push", **settings: Unpack[EpisodeSettings]
    ) -> Generator[EpisodeEvent, None, None]:
        """The same, step by step; nothing is sent before the first event is asked for.

        Whoever closes the generator has left, and the episode ends.
        """
        for name, data in self._watch(EPISODES_PATH, _fields(environment, settings)):
            yield from _event(name, data)


def _fields(environment: str, settings: EpisodeSettings) -> dict[str, Any]:
    fields: dict[str, Any] = {"environment": environment, **settings}
    for name in ("start", "goal"):
        if fields.get(name) is not None:
            fields[name] = encode(fields[name])
    return fields


def _episode(response: EpisodeResponse) -> EpisodeReply:
    actions = np.array(response.actions, np.float32)
    frames = _pictures(response.frames)
    subgoals = _pictures(response.subgoals) if response.subgoals else frames[:0]
    return EpisodeReply(response, frames, actions, subgoals)


def _event(name: str, data: str) -> Generator[EpisodeEvent, None, None]:
    """What it says, if it is known."""
    match name:
        case "queued":
            yield Queued.model_validate_json(data)
        case "frame":
            frame = FrameEvent.model_validate_json(data)
            yield FrameReply(frame, from_base64(frame.image))
        case "result":
            yield _episode(EpisodeResponse.model_validate_json(data))


def _pictures(texts: list[str]) -> UInt8[np.ndarray, "T H W 3"]:
    """No texts are no pictures, of no height and width."""
    return np.stack([from_base64(text) for text in texts]) if texts else np.zeros((0, 0, 0, 3), np.uint8)
