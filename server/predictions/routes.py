"""``POST /v1/rewards``, ``/v1/keypoints``, ``/v1/predictions`` and ``/v1/interpolations``: world models."""

import asyncio
import math

import numpy as np
from fastapi import APIRouter
from jaxtyping import Float
from starlette.responses import Response

from planner.loaded import ReadyKalman, ReadyWorldModel
from server.http.exchange import Exchanging, model_ref
from server.http.pictures import to_base64
from server.models.eye import to_calibration
from server.predictions import schemas
from server.predictions.keypoint_task import (
    KeypointTask,
    Positions,
    PredictionOutcome,
    PredictionTask,
    RewardTask,
)
from server.predictions.models import predicting, predictor_of, rewarding
from server.predictions.requests import keypoint_task, reward_task
from server.predictions.video_requests import interpolation_task
from server.predictions.video_task import InterpolationOutcome, InterpolationTask, TrackTask, VideoTask

router = APIRouter(tags=["world models"])


@router.post(schemas.REWARDS_PATH, response_model=schemas.RewardResponse)
async def predict_rewards(exchange: Exchanging) -> Response:
    """Predict the rewards that action sequences bring, from frames and the actions between them."""
    request = await exchange.read(schemas.RewardRequest)
    deadline_ms = exchange.deadline_ms(request.deadline_ms)
    model = exchange.service.choose(request.model, rewarding(exchange.service, request.task))
    task = await asyncio.to_thread(reward_task, request, model)
    return await exchange.answer(
        task, deadline_ms, lambda outcome: _rewards(task, outcome), schemas.RewardResponse
    )


@router.post(schemas.KEYPOINTS_PATH, response_model=schemas.KeypointResponse)
async def find_keypoints(exchange: Exchanging) -> Response:
    """Find the keypoints of frames."""
    request = await exchange.read(schemas.KeypointRequest)
    deadline_ms = exchange.deadline_ms(request.deadline_ms)
    model = exchange.service.choose(request.model, exchange.service.of(ReadyWorldModel))
    task = await asyncio.to_thread(keypoint_task, request, model)
    return await exchange.answer(
        task, deadline_ms, lambda outcome: _found(task, outcome), schemas.KeypointResponse
    )


@router.post(schemas.PREDICTIONS_PATH, response_model=schemas.PredictionResponse)
async def predict(exchange: Exchanging) -> Response:
    """Predict pictures and, where the model has them, keypoints or positions of objects; under actions, and
    after moving observed keypoints, if asked to.
    """
    request = await exchange.read(schemas.PredictionRequest)
    deadline_ms = exchange.deadline_ms(request.deadline_ms)
    model = exchange.service.choose(request.model, predicting(exchange.service, request.objects))
    task = await asyncio.to_thread(predictor_of(model).task, request, model)
    return await exchange.answer(
        task, deadline_ms, lambda outcome: _predicted(task, outcome), schemas.PredictionResponse
    )


@router.post(schemas.INTERPOLATIONS_PATH, response_model=schemas.InterpolationResponse)
async def interpolate(exchange: Exchanging) -> Response:
    """Find where objects were in frames that are missing between others, and what these frames showed."""
    request = await exchange.read(schemas.InterpolationRequest)
    deadline_ms = exchange.deadline_ms(request.deadline_ms)
    model = exchange.service.choose(request.model, exchange.service.of(ReadyKalman))
    task = await asyncio.to_thread(interpolation_task, request, model)
    return await exchange.answer(
        task, deadline_ms, lambda outcome: _interpolated(task, outcome), schemas.InterpolationResponse
    )


def _rewards(task: RewardTask, rewards: Float[np.ndarray, "N L"]) -> schemas.RewardContent:
    rows = rewards.tolist()
    return schemas.RewardContent(
        model=model_ref(task.model),
        task=task.task,
        reward_head=task.head.sha256,
        rewards=rows,
        # Exactly rounded, so that a sum does not depend on how it was made.
        returns=[math.fsum(row) for row in rows],
        calibration=to_calibration(task.seen.calibration),
    )


def _found(task: KeypointTask, keypoints: Float[np.ndarray, "T K 3"]) -> schemas.KeypointContent:
    return schemas.KeypointContent(
        model=model_ref(task.model),
        keypoints=_keypoints(keypoints),
        calibration=to_calibration(task.calibration),
    )


def _predicted(
    task: PredictionTask | VideoTask | TrackTask, outcome: PredictionOutcome
) -> schemas.PredictionContent:
    pictures = [None] * task.samples if outcome.pictures is None else outcome.pictures
    return schemas.PredictionContent(
        model=model_ref(task.model),
        mean=task.seed is None,
        seed=task.seed,
        context=_keypoints(outcome.seen),
        samples=[
            schemas.Sample(
                keypoints=_keypoints(keypoints),
                frames=None if frames is None else [to_base64(frame) for frame in frames],
            )
            for keypoints, frames in zip(outcome.keypoints, pictures, strict=True)
        ],
        positions=None if outcome.positions is None else _tracks(*outcome.positions),
        calibration=to_calibration(task.calibration),
    )


def _interpolated(task: InterpolationTask, outcome: InterpolationOutcome) -> schemas.InterpolationContent:
    return schemas.InterpolationContent(
        model=model_ref(task.model),
        frames=None if outcome.pictures is None else [to_base64(frame) for frame in outcome.pictures],
        positions=_positions(outcome.positions),
    )


def _tracks(seen: Positions, predicted: Positions) -> list[schemas.ObjectPositions]:
    both = zip(_positions(seen), _positions(predicted), strict=True)
    return [schemas.ObjectPositions(context=before, predicted=after) for before, after in both]


def _positions(found: Positions) -> list[list[schemas.PositionEstimate]]:
    return [
        [
            schemas.PositionEstimate(x=x, y=y, covariance=covariance)
            for (x, y), covariance in zip(means, covariances, strict=True)
        ]
        for means, covariances in zip(found.means.tolist(), found.covariances.tolist(), strict=True)
    ]


def _keypoints(values: Float[np.ndarray, "T K 3"]) -> list[list[schemas.Keypoint]]:
    return [[schemas.Keypoint(x=x, y=y, scale=scale) for x, y, scale in row] for row in values.tolist()]
