"""``POST /v1/episodes``: models act in simulated worlds, and can be watched."""

import asyncio
from collections.abc import Iterator
from functools import partial
from math import isfinite
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from envs.push.env import STRICT_SUCCESS, SUCCESS
from envs.push.world import PushWorld
from planner.episode import Moment
from planner.loaded import ReadyControl
from server.episodes import schemas
from server.episodes.requests import episode_task
from server.episodes.task import (
    PlanInForce,
    PushEpisodeTask,
    PushOutcome,
    RewardEpisodeTask,
    RewardOutcome,
)
from server.http.exchange import Exchanging, model_ref
from server.http.pictures import to_base64
from server.plans.memory import Plans, plans_of
from server.plans.reply import plan_content, to_position
from server.plans.task import points
from server.scenes.reply import layout
from server.schemas import Schema, digest
from world_models.frames import to_tensor
from world_models.segmenter import Wanted

router = APIRouter(tags=["environments"])


@router.post(schemas.EPISODES_PATH, response_model=schemas.EpisodeResponse)
async def run_episode(exchange: Exchanging) -> Response:
    """Act in a simulated environment until the goal is reached or the steps are over.

    The object is pushed through the subgoals of a plan; in tasks of DM Control predicted reward is sought.
    With `Accept: text/event-stream` every step comes as an event. A deadline ends the episode early.
    """
    request = await exchange.read(schemas.EpisodeRequest)
    deadline_ms = exchange.deadline_ms(request.deadline_ms)
    plans = plans_of(exchange)
    task = await asyncio.to_thread(episode_task, request, exchange.service, plans)
    if isinstance(task, RewardEpisodeTask):
        return await exchange.answer(
            task,
            deadline_ms,
            lambda outcome: _controlled(task, outcome),
            schemas.EpisodeResponse,
            events=_events,
        )
    return await exchange.answer(
        task,
        deadline_ms,
        lambda outcome: _pushed(task, outcome, plans),
        schemas.EpisodeResponse,
        events=partial(_events, goal=PushWorld.goal),
    )


def _events(told: Any, goal: Wanted | None = None) -> Iterator[tuple[str, Schema]]:
    """The steps; what is told of a plan that is made on the way is no part of the stream."""
    if isinstance(told, Moment):
        yield "frame", _frame(told, goal)


def _frame(moment: Moment, goal: Wanted | None) -> schemas.FrameEvent:
    position = (
        None
        if goal is None
        else points(goal.objects[0].segmenter.blob(to_tensor(moment.picture[None])).centre)[0]
    )
    return schemas.FrameEvent(
        step=moment.step,
        image=to_base64(moment.picture),
        subgoal=moment.subgoal,
        distance=moment.measures.get("distance"),
        object_position=to_position(position),
        reward=moment.measures.get("reward") if moment.step else None,
        action=None if moment.action is None else moment.action.tolist(),
    )


def _pushed(task: PushEpisodeTask, outcome: PushOutcome, plans: Plans) -> schemas.EpisodeContent:
    driven = outcome.driven
    distance = driven.measures[-1]["distance"]
    if isinstance(task.plan, PlanInForce):
        planner, plan = None, task.plan.id
    else:
        assert outcome.made is not None
        planner, plan = model_ref(task.plan), digest(plan_content(*outcome.made))
        plans.keep(plan, outcome.subgoals)
    return schemas.EpisodeContent(
        environment=task.environment,
        seed=task.seed,
        episode_seed=task.episode_seed,
        layout=layout(outcome.scene),
        planner=planner,
        plan=plan,
        subgoals=[to_base64(picture) for picture in outcome.subgoals],
        servo="simulator" if task.model is None else "learned",
        model=None if task.model is None else model_ref(task.model),
        steps=driven.steps,
        stop_reason=outcome.stop_reason,
        success=distance < SUCCESS,
        strict_success=distance < STRICT_SUCCESS,
        distance=distance,
        initial_distance=driven.measures[0]["distance"],
        frames=[to_base64(frame) for frame in driven.frames],
        actions=[action.tolist() for action in driven.actions],
        pursued=[place for _, place in driven.pursued],
        rewards=None,
        forecast=None,
        discount=None,
    )


def _controlled(task: RewardEpisodeTask, outcome: RewardOutcome) -> schemas.EpisodeContent:
    driven = outcome.driven
    forecast, discount = None, None
    if isinstance(task.model, ReadyControl):
        forecast = [-cost if isfinite(cost) else None for cost in driven.costs[: driven.steps]]
        discount = task.model.control.config.discount
    return schemas.EpisodeContent(
        environment=task.environment,
        seed=task.seed,
        episode_seed=task.episode_seed,
        layout=None,
        planner=None,
        plan=None,
        subgoals=[],
        servo="learned",
        model=model_ref(task.model),
        steps=driven.steps,
        stop_reason=outcome.stop_reason,
        success=None,
        strict_success=None,
        distance=None,
        initial_distance=None,
        frames=[to_base64(frame) for frame in driven.frames],
        actions=[action.tolist() for action in driven.actions],
        pursued=[],
        rewards=[measures["reward"] for measures in driven.measures[1:]],
        forecast=forecast,
        discount=discount,
    )
