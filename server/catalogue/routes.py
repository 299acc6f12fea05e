"""The list of models; the other endpoints are in modules of their own."""

from fastapi import APIRouter

from planner.control import horizon_of
from planner.loaded import Ready, ReadyKalman, ReadyPlanner, ReadySVG, ReadyWorldModel
from server.actions import routes as action_routes
from server.actions import schemas as action_schemas
from server.actions.reading import MAX_IMAGINED
from server.actions.schemas import Objective
from server.actions.task import MEMORIES, SEARCHES, objectives
from server.catalogue import schemas as models
from server.episodes import routes as episode_routes
from server.health import routes as health_routes
from server.http.exchange import Service, default_deadline_ms, model_ref
from server.plans import routes as plan_routes
from server.plans import schemas as plan_schemas
from server.predictions import routes as prediction_routes
from server.predictions import schemas as prediction_schemas
from server.predictions.reading import MAX_FUTURE_FRAMES, MAX_REWARDS
from server.scenes import routes as scene_routes
from server.schemas import MAX_SEED, Range
from server.settings import Settings

router = APIRouter()


@router.get("/v1/models", tags=["models"])
async def list_models(service: Service) -> models.ModelList:
    """The models that are loaded, what they expect and what may be asked of them."""
    return models.ModelList(models=[_described(model, service.settings) for model in service.models.values()])


router.include_router(health_routes.router)
router.include_router(plan_routes.router)
router.include_router(prediction_routes.router)
router.include_router(action_routes.router)
router.include_router(scene_routes.router)
router.include_router(episode_routes.router)


def _described(model: Ready, settings: Settings) -> models.ModelInfo:
    match model:
        case ReadyPlanner():
            return _planner(model, settings)
        case ReadySVG():
            return _video_model(model, settings)
        case ReadyKalman():
            return _track_model(model, settings)
        case _:
            return _world_model(model, settings)


def _planner(model: ReadyPlanner, settings: Settings) -> models.PlannerInfo:
    search = model.planner.config
    return models.PlannerInfo(
        **dict(model_ref(model)),
        weights_sha256=model.weights_sha256,
        image_size=model.image_size,
        keyframes=search.keyframes,
        defaults=models.SearchDefaults(
            samples=search.cem.candidates,
            iterations=search.cem.iterations,
            deadline_ms=default_deadline_ms(settings),
        ),
        limits=models.SearchLimits(
            samples=Range(min=plan_schemas.MIN_SAMPLES, max=plan_schemas.MAX_KEYFRAMES // search.keyframes),
            iterations=Range(
                min=1, max=plan_schemas.MAX_KEYFRAMES // (plan_schemas.MIN_SAMPLES * search.keyframes)
            ),
            work=plan_schemas.MAX_KEYFRAMES,
            deadline_ms=Range(min=1, max=settings.max_deadline_ms),
            seed=Range(min=0, max=MAX_SEED),
            body_bytes=settings.max_body_bytes,
        ),
    )


def _world_model(model: ReadyWorldModel, settings: Settings) -> models.WorldModelInfo:
    config = model.world.config
    return models.WorldModelInfo(
        **dict(model_ref(model)),
        weights_sha256=model.weights_sha256,
        image_size=model.image_size,
        keypoints=config.keypoints,
        actions=config.actions,
        stochastic=config.stochastic,
        tasks=[_task(model, name) for name in config.tasks],
        control=[_control(objective) for objective in objectives(model)],
        defaults=models.WorldDefaults(deadline_ms=default_deadline_ms(settings)),
        limits=models.WorldLimits(
            frames=Range(min=1, max=prediction_schemas.MAX_FRAMES),
            steps=Range(min=1, max=prediction_schemas.MAX_STEPS),
            sequences=Range(min=1, max=prediction_schemas.MAX_SEQUENCES),
            reward_work=MAX_REWARDS,
            samples=Range(min=1, max=prediction_schemas.MAX_SAMPLES),
            prediction_work=MAX_FUTURE_FRAMES,
            edits=Range(min=0, max=prediction_schemas.MAX_EDITS),
            candidates=Range(min=action_schemas.MIN_CANDIDATES, max=action_schemas.MAX_CANDIDATES),
            iterations=Range(min=1, max=action_schemas.MAX_ITERATIONS),
            horizon=Range(min=1, max=prediction_schemas.MAX_STEPS),
            action_work=MAX_IMAGINED,
            deadline_ms=Range(min=1, max=settings.max_deadline_ms),
            seed=Range(min=0, max=MAX_SEED),
            body_bytes=settings.max_body_bytes,
        ),
    )


def _video_model(model: ReadySVG, settings: Settings) -> models.VideoModelInfo:
    config = model.world.config
    return models.VideoModelInfo(
        **dict(model_ref(model)),
        weights_sha256=model.weights_sha256,
        image_size=model.image_size,
        grey=config.channels == 1,
        prior=config.prior,
        actions=config.actions,
        stochastic=config.prior != "none",
        defaults=models.WorldDefaults(deadline_ms=default_deadline_ms(settings)),
        limits=models.VideoLimits(
            frames=Range(min=1, max=prediction_schemas.MAX_FRAMES),
            steps=Range(min=1, max=prediction_schemas.MAX_STEPS),
            samples=Range(min=1, max=prediction_schemas.MAX_SAMPLES),
            prediction_work=MAX_FUTURE_FRAMES,
            deadline_ms=Range(min=1, max=settings.max_deadline_ms),
            seed=Range(min=0, max=MAX_SEED),
            body_bytes=settings.max_body_bytes,
        ),
    )


def _track_model(model: ReadyKalman, settings: Settings) -> models.TrackModelInfo:
    return models.TrackModelInfo(
        **dict(model_ref(model)),
        weights_sha256=model.weights_sha256,
        image_size=model.image_size,
        defaults=models.WorldDefaults(deadline_ms=default_deadline_ms(settings)),
        limits=models.TrackLimits(
            frames=Range(min=1, max=prediction_schemas.MAX_FRAMES),
            steps=Range(min=1, max=prediction_schemas.MAX_STEPS),
            objects=Range(min=1, max=model.world.config.most_objects),
            deadline_ms=Range(min=1, max=settings.max_deadline_ms),
            body_bytes=settings.max_body_bytes,
        ),
    )


def _task(model: ReadyWorldModel, name: str) -> models.TaskInfo:
    ready = model.heads.get(name)
    if ready is None:
        return models.TaskInfo(name=name, actions=None, reward_head=None, horizon=horizon_of(name))
    return models.TaskInfo(
        name=name, actions=ready.head.config.actions, reward_head=ready.sha256, horizon=horizon_of(name)
    )


def _control(objective: Objective) -> models.ControlInfo:
    search = SEARCHES[objective]
    return models.ControlInfo(
        objective=objective,
        frames=MEMORIES[objective],
        candidates=search.cem.candidates,
        iterations=search.cem.iterations,
        horizon=search.horizon,
    )
