"""A small client: pictures in and out as arrays, errors as exceptions."""

import os
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import httpx2
import numpy as np
from jaxtyping import Float, UInt8

from server.action_schemas import ActionResponse, Objective
from server.codecs import from_base64, to_base64
from server.model_schemas import ModelInfo, ModelList
from server.plan_client import PlanCalls
from server.plan_schemas import IterationEvent
from server.replies import (
    ActionReply,
    KeypointReply,
    PlanReply,
    PredictionReply,
    RewardReply,
    ServerProblem,
    SubgoalReply,
)
from server.scene_client import ClipReply, EpisodeReply, FrameReply, SceneCalls, SceneReply
from server.schemas import Queued
from server.tasks import Picture
from server.world_schemas import Edit, Keypoint, KeypointResponse, PredictionResponse, RewardResponse

__all__ = [
    "ActionReply",
    "Client",
    "ClipReply",
    "EpisodeReply",
    "FrameReply",
    "IterationEvent",
    "KeypointReply",
    "PlanReply",
    "PredictionReply",
    "Queued",
    "RewardReply",
    "SceneReply",
    "ServerProblem",
    "SubgoalReply",
]

Frames = UInt8[np.ndarray, "T H W 3"]


class Client(PlanCalls, SceneCalls):
    """Talks to one server. Use it in a ``with`` block, or call :meth:`close`."""

    def __init__(
        self, url: str = "http://127.0.0.1:8000", timeout: float = 70.0, key: str | None = None
    ) -> None:
        """``timeout`` in seconds, for connecting and for each reply; ``key`` for a server that asks for one,
        if left out that of the environment variable ``WAYMARK_KEY``.
        """
        key = key or os.environ.get("WAYMARK_KEY")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        super().__init__(httpx2.Client(base_url=url, timeout=timeout, headers=headers))

    def rewards(
        self,
        task: str,
        frames: Frames,
        actions: Float[np.ndarray, "N L A"],
        *,
        past_actions: Float[np.ndarray, "T-1 A"] | None = None,
        model: str | None = None,
        deadline_ms: int | None = None,
    ) -> RewardReply:
        """Predict the rewards of action sequences; ``past_actions`` are those between the frames.

        Raises as :meth:`plan` does.
        """
        response = self._post(
            "/v1/rewards",
            RewardResponse,
            model=model,
            task=task,
            frames=_pictures(frames),
            past_actions=_numbers(past_actions),
            actions=_numbers(actions),
            deadline_ms=deadline_ms,
        )
        return RewardReply(response, np.array(response.rewards, np.float32))

    def keypoints(
        self, frames: Frames, *, model: str | None = None, deadline_ms: int | None = None
    ) -> KeypointReply:
        """Find the keypoints of frames. Raises as :meth:`plan` does."""
        response = self._post(
            "/v1/keypoints", KeypointResponse, model=model, frames=_pictures(frames), deadline_ms=deadline_ms
        )
        return KeypointReply(response, _values(response.keypoints))

    def predictions(
        self,
        frames: Frames,
        *,
        past_actions: Float[np.ndarray, "T-1 A"] | None = None,
        actions: Float[np.ndarray, "L A"] | None = None,
        steps: int | None = None,
        samples: int | None = None,
        seed: int | None = None,
        edits: Sequence[Edit] = (),
        render: bool = True,
        model: str | None = None,
        deadline_ms: int | None = None,
    ) -> PredictionReply:
        """Predict what follows on frames: the mean future, or as many samples as asked for.

        Models that take actions need ``actions``, others ``steps``. Raises as :meth:`plan` does.
        """
        response = self._post(
            "/v1/predictions",
            PredictionResponse,
            model=model,
            frames=_pictures(frames),
            past_actions=_numbers(past_actions),
            actions=_numbers(actions),
            steps=steps,
            samples=samples,
            seed=seed,
            edits=[edit.model_dump(exclude_none=True) for edit in edits],
            render=render,
            deadline_ms=deadline_ms,
        )
        pictures = [[from_base64(text) for text in sample.frames or ()] for sample in response.samples]
        return PredictionReply(
            response,
            _values(response.context),
            np.stack([_values(sample.keypoints) for sample in response.samples]),
            np.array(pictures) if render else None,
        )

    def act(
        self,
        frames: Frames,
        subgoal: Picture | None = None,
        *,
        past_actions: Float[np.ndarray, "T-1 A"] | None = None,
        plan: str | None = None,
        index: int | None = None,
        objective: Objective = "push",
        task: str | None = None,
        warm_start: Float[np.ndarray, "L A"] | None = None,
        seed: int | None = None,
        candidates: int | None = None,
        iterations: int | None = None,
        horizon: int | None = None,
        render: bool = False,
        model: str | None = None,
        deadline_ms: int | None = None,
    ) -> ActionReply:
        """Choose the next action, toward ``subgoal`` or toward the picture ``index`` of the plan of that id.

        Raises as :meth:`plan` does.
        """
        response = self._post(
            "/v1/actions",
            ActionResponse,
            model=model,
            objective=objective,
            task=task,
            frames=_pictures(frames),
            past_actions=_numbers(past_actions),
            subgoal=None if subgoal is None else to_base64(subgoal),
            plan=plan,
            index=index,
            warm_start=_numbers(warm_start),
            seed=seed,
            candidates=candidates,
            iterations=iterations,
            horizon=horizon,
            render=render,
            deadline_ms=deadline_ms,
        )
        images = [from_base64(step.image) for step in response.expected if step.image is not None]
        return ActionReply(
            response,
            np.array(response.action, np.float32),
            np.array(response.warm_start, np.float32),
            np.array([step.action for step in response.expected], np.float32),
            np.stack(images) if images else None,
        )

    def models(self) -> list[ModelInfo]:
        """The models of the server, the default one first. Raises as :meth:`plan` does."""
        return self._get("/v1/models", ModelList).models

    def ready(self) -> bool:
        """Whether requests may be sent; False also while nobody listens."""
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


def _pictures(frames: Frames) -> list[str]:
    return [to_base64(frame) for frame in frames]


def _numbers(values: np.ndarray | None) -> Any:
    return None if values is None else np.asarray(values).tolist()


def _values(keypoints: list[list[Keypoint]]) -> Float[np.ndarray, "T K 3"]:
    rows = [[(keypoint.x, keypoint.y, keypoint.scale) for keypoint in row] for row in keypoints]
    return np.array(rows, np.float32)
