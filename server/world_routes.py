"""``POST /v1/rewards``, ``/v1/keypoints`` and ``/v1/predictions``: what a Struct-VRNN answers."""

import asyncio
import math

import numpy as np
from fastapi import APIRouter
from jaxtyping import Float
from starlette.responses import Response

from server import world_schemas as schemas
from server.codecs import to_base64
from server.exchange import Exchanging, model_ref
from server.world_requests import keypoint_task, prediction_task, reward_task
from server.world_tasks import KeypointTask, PredictionOutcome, PredictionTask, RewardTask

router = APIRouter(tags=["world models"])


@router.post("/v1/rewards", response_model=schemas.RewardResponse)
async def predict_rewards(exchange: Exchanging) -> Response:
    """Predict the rewards that action sequences bring, from frames and the actions between them."""
    request = await exchange.read(schemas.RewardRequest)
    deadline_ms = exchange.deadline_ms(request.deadline_ms)
    model = exchange.service.choose(request.model, exchange.service.rewarding(request.task))
    task = await asyncio.to_thread(reward_task, request, model)
    return await exchange.answer(
        task, deadline_ms, lambda outcome: _rewards(task, outcome), schemas.RewardResponse
    )


@router.post("/v1/keypoints", response_model=schemas.KeypointResponse)
async def find_keypoints(exchange: Exchanging) -> Response:
    """Find the keypoints of frames."""
    request = await exchange.read(schemas.KeypointRequest)
    deadline_ms = exchange.deadline_ms(request.deadline_ms)
    model = exchange.service.choose(request.model, exchange.service.world_models)
    task = await asyncio.to_thread(keypoint_task, request, model)
    return await exchange.answer(
        task, deadline_ms, lambda outcome: _found(task, outcome), schemas.KeypointResponse
    )


@router.post("/v1/predictions", response_model=schemas.PredictionResponse)
async def predict(exchange: Exchanging) -> Response:
    """Predict keypoints and pictures under actions, after moving observed keypoints if asked to."""
    request = await exchange.read(schemas.PredictionRequest)
    deadline_ms = exchange.deadline_ms(request.deadline_ms)
    model = exchange.service.choose(request.model, exchange.service.world_models)
    task = await asyncio.to_thread(prediction_task, request, model)
    return await exchange.answer(
        task, deadline_ms, lambda outcome: _predicted(task, outcome), schemas.PredictionResponse
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
    )


def _found(task: KeypointTask, keypoints: Float[np.ndarray, "T K 3"]) -> schemas.KeypointContent:
    return schemas.KeypointContent(model=model_ref(task.model), keypoints=_keypoints(keypoints))


def _predicted(task: PredictionTask, outcome: PredictionOutcome) -> schemas.PredictionContent:
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
    )


def _keypoints(values: Float[np.ndarray, "T K 3"]) -> list[list[schemas.Keypoint]]:
    return [[schemas.Keypoint(x=x, y=y, scale=scale) for x, y, scale in row] for row in values.tolist()]
