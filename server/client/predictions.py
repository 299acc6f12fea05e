"""What the client can ask of world models: rewards, keypoints, predictions, interpolations."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from server.client.calls import Calls
from server.client.pictures import FramesLike, encode_frames
from server.client.replies import InterpolationReply, KeypointReply, Positions, PredictionReply, RewardReply
from server.http.pictures import from_base64
from server.predictions.schemas import (
    INTERPOLATIONS_PATH,
    KEYPOINTS_PATH,
    PREDICTIONS_PATH,
    REWARDS_PATH,
    Edit,
    InterpolationResponse,
    Keypoint,
    KeypointResponse,
    PositionEstimate,
    PredictionResponse,
    RewardResponse,
)


class WorldCalls(Calls):
    """The part of the client that is about world models."""

    def rewards(
        self,
        task: str,
        frames: FramesLike,
        actions: Float[np.ndarray, "N L A"],
        *,
        past_actions: Float[np.ndarray, "past A"] | None = None,
        model: str | None = None,
        deadline_ms: int | None = None,
    ) -> RewardReply:
        """Predict the rewards of action sequences; ``past_actions`` are those between the frames.

        Raises as :meth:`plan` does.
        """
        response = self._post(
            REWARDS_PATH,
            RewardResponse,
            model=model,
            task=task,
            frames=encode_frames(frames),
            past_actions=numbers(past_actions),
            actions=numbers(actions),
            deadline_ms=deadline_ms,
        )
        return RewardReply(response, np.array(response.rewards, np.float32))

    def keypoints(
        self, frames: FramesLike, *, model: str | None = None, deadline_ms: int | None = None
    ) -> KeypointReply:
        """Find the keypoints of frames. Raises as :meth:`plan` does."""
        response = self._post(
            KEYPOINTS_PATH,
            KeypointResponse,
            model=model,
            frames=encode_frames(frames),
            deadline_ms=deadline_ms,
        )
        return KeypointReply(response, _values(response.keypoints))

    def predictions(
        self,
        frames: FramesLike,
        *,
        past_actions: Float[np.ndarray, "past A"] | None = None,
        actions: Float[np.ndarray, "L A"] | None = None,
        steps: int | None = None,
        samples: int | None = None,
        seed: int | None = None,
        edits: Sequence[Edit] = (),
        objects: int | None = None,
        render: bool = True,
        model: str | None = None,
        deadline_ms: int | None = None,
    ) -> PredictionReply:
        """Predict what follows on frames: the mean future, or as many samples as asked for.

        Models that take actions need ``actions``, others ``steps``; those that follow objects need their
        number. Raises as :meth:`plan` does.
        """
        response = self._post(
            PREDICTIONS_PATH,
            PredictionResponse,
            model=model,
            frames=encode_frames(frames),
            past_actions=numbers(past_actions),
            actions=numbers(actions),
            steps=steps,
            samples=samples,
            seed=seed,
            objects=objects,
            edits=[edit.model_dump(exclude_none=True) for edit in edits],
            render=render,
            deadline_ms=deadline_ms,
        )
        images = [[from_base64(text) for text in sample.frames or ()] for sample in response.samples]
        found = response.positions
        return PredictionReply(
            response,
            _values(response.context),
            np.stack([_values(sample.keypoints) for sample in response.samples]),
            np.array(images) if render else None,
            None if found is None else _positions([each.context for each in found]),
            None if found is None else _positions([each.predicted for each in found]),
        )

    def interpolations(
        self,
        before: FramesLike,
        after: FramesLike,
        steps: int,
        objects: int,
        *,
        render: bool = True,
        model: str | None = None,
        deadline_ms: int | None = None,
    ) -> InterpolationReply:
        """Find where so many objects were in the ``steps`` frames that are missing between others.

        Raises as :meth:`plan` does.
        """
        response = self._post(
            INTERPOLATIONS_PATH,
            InterpolationResponse,
            model=model,
            before=encode_frames(before),
            after=encode_frames(after),
            steps=steps,
            objects=objects,
            render=render,
            deadline_ms=deadline_ms,
        )
        images = [from_base64(text) for text in response.frames or ()]
        positions = _positions(response.positions)
        return InterpolationReply(response, positions, np.stack(images) if images else None)


def numbers(values: np.ndarray | None) -> Any:
    """Arrays as requests have them."""
    return None if values is None else np.asarray(values).tolist()


def _values(keypoints: list[list[Keypoint]]) -> Float[np.ndarray, "T K 3"]:
    rows = [[(keypoint.x, keypoint.y, keypoint.scale) for keypoint in row] for row in keypoints]
    return np.array(rows, np.float32).reshape(len(rows), -1, 3)


def _positions(found: Sequence[Sequence[PositionEstimate]]) -> Positions:
    return Positions(
        np.array([[(position.x, position.y) for position in row] for row in found]),
        np.array([[position.covariance for position in row] for row in found]),
    )
