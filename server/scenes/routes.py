"""``GET /v1/environments``, ``POST /v1/scenes`` and ``/v1/clips``: simulated worlds to try models in."""

import asyncio

from fastapi import APIRouter
from starlette.responses import Response

from envs.dmc.returns import MANIFEST, RETURNS
from envs.dmc.tasks import TASKS as DMC_TASKS
from server.engine.task import drawn
from server.environments import IMAGE_SIZE, KINDS, Worlds, kind_of, most_steps
from server.errors import invalid
from server.http.exchange import Exchanging, Service
from server.http.pictures import to_base64
from server.models.service import ModelService
from server.predictions.models import controllers_in, planners_in
from server.scenes import schemas
from server.scenes.reply import layout
from server.scenes.requests import sent_pictures
from server.scenes.task import ClipOutcome, ClipTask, SceneOutcome, SceneTask

router = APIRouter(tags=["environments"])

_GALLERY = tuple(range(8))
_ARM_ACTIONS = 2


@router.get(schemas.ENVIRONMENTS_PATH)
async def list_environments(service: Service) -> schemas.EnvironmentList:
    """The simulated environments, and the models that can do something in them."""
    return schemas.EnvironmentList(environments=[_environment(name, service) for name in KINDS])


@router.post(schemas.SCENES_PATH, response_model=schemas.SceneResponse)
async def draw_scene(exchange: Exchanging) -> Response:
    """Draw a pushing task at random, or read one off pictures of its start and of its goal.

    Pictures are refused if the simulator cannot be set up from them, with what they lack.
    """
    request = await exchange.read(schemas.SceneRequest)
    deadline_ms = exchange.deadline_ms(request.deadline_ms)
    task = await asyncio.to_thread(_scene_task, request, exchange.service.worlds)
    return await exchange.answer(
        task, deadline_ms, lambda outcome: _scene(task, outcome), schemas.SceneResponse
    )


@router.post(schemas.CLIPS_PATH, response_model=schemas.ClipResponse)
async def record_clip(exchange: Exchanging) -> Response:
    """Record what random actions do: pictures, actions and the true rewards."""
    request = await exchange.read(schemas.ClipRequest)
    deadline_ms = exchange.deadline_ms(request.deadline_ms)
    task = _clip_task(request, exchange.service.worlds)
    return await exchange.answer(
        task, deadline_ms, lambda outcome: _clip(task, outcome), schemas.ClipResponse
    )


def _environment(name: str, service: ModelService) -> schemas.EnvironmentInfo:
    pushing = KINDS[name] == "push"
    return schemas.EnvironmentInfo(
        name=name,
        kind=KINDS[name],
        image_size=IMAGE_SIZE,
        actions=_ARM_ACTIONS if pushing else DMC_TASKS[name].actions,
        steps=most_steps(name),
        action_repeat=1 if pushing else DMC_TASKS[name].action_repeat,
        returns=None if pushing else _returns(name),
        gallery=list(_GALLERY),
        planners=[model.name for model in planners_in(service, name)],
        controllers=[model.name for model in controllers_in(service, name)],
    )


def _returns(name: str) -> schemas.Returns | None:
    if name not in RETURNS:
        return None
    known = RETURNS[name]
    return schemas.Returns(random=known.random, simulator=known.simulator, manifest=MANIFEST)


def _scene(task: SceneTask, outcome: SceneOutcome) -> schemas.SceneContent:
    return schemas.SceneContent(
        environment=task.environment,
        seed=task.seed,
        start=to_base64(outcome.start),
        goal=to_base64(outcome.goal),
        layout=layout(outcome.scene),
    )


def _clip(task: ClipTask, outcome: ClipOutcome) -> schemas.ClipContent:
    return schemas.ClipContent(
        environment=task.environment,
        seed=task.seed,
        frames=[to_base64(frame) for frame in outcome.frames],
        actions=outcome.actions,
        rewards=outcome.rewards,
    )


def _scene_task(request: schemas.SceneRequest, worlds: Worlds) -> SceneTask:
    """Raises InvalidRequest, InvalidPicture, UnknownEnvironment."""
    if kind_of(request.environment) != "push":
        pushing = ", ".join(name for name, kind in KINDS.items() if kind == "push")
        raise invalid("environment", f"This environment has no goal pictures; those that have: {pushing}.")
    pictures = sent_pictures(request)
    seed = drawn(request.seed) if pictures is None else None
    return SceneTask(worlds, request.environment, seed, pictures)


def _clip_task(request: schemas.ClipRequest, worlds: Worlds) -> ClipTask:
    """Raises UnknownEnvironment."""
    kind_of(request.environment)
    return ClipTask(worlds, request.environment, drawn(request.seed), request.steps)
