"""How the server is: for orchestrators, for Prometheus, and in the words of the Open Inference Protocol (V2).

Of that protocol there is what can be read; inference is at ``/v1`` only.
"""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from planner.loaded import ReadyKalman, ReadyModel, ReadyPlanner, ReadySVG, ReadyWorldModel
from server.health import schemas
from server.health.schemas import TensorMetadata
from server.http.exchange import Service, model_ref
from server.http.metrics import Metrics
from server.http.problems import NotReady
from server.models.service import ModelService, UnknownModel

router = APIRouter()


@router.get("/livez", tags=["health"])
async def livez(service: Service) -> schemas.Alive:
    """Whether the process answers and its engine runs; if not, it should be started anew."""
    _living(service)
    return schemas.Alive(status="alive")


@router.get("/readyz", tags=["health"], response_model_exclude_none=True)
async def readyz(
    service: Service,
    verbose: Annotated[
        str | None, Query(max_length=10, description="Name it to be told of all checks.")
    ] = None,
) -> schemas.Readiness:
    """Whether requests may be sent here: models loaded and warmed up, not shutting down."""
    checks = None if verbose is None else _checks(service)
    if (reason := service.unready()) is not None:
        raise NotReady(reason, None if checks is None else {"checks": checks.model_dump()})
    return schemas.Readiness(status="ready", checks=checks)


@router.get(
    "/metrics",
    tags=["health"],
    response_class=Response,
    responses={200: {"description": "Figures for Prometheus.", "content": {"text/plain": {}}}},
)
async def metrics(request: Request) -> Response:
    """What has happened since the process began, as Prometheus reads it."""
    found: Metrics = request.app.state.metrics
    return Response(found.text(), media_type=CONTENT_TYPE_LATEST)


@router.get("/v2", tags=["open inference protocol"])
async def server_metadata(request: Request) -> schemas.ServerMetadata:
    """What this server is."""
    return schemas.ServerMetadata(version=request.app.version, extensions=[])


@router.get("/v2/health/live", tags=["open inference protocol"])
async def server_live(service: Service) -> schemas.ServerLive:
    """``GET /livez`` in other words."""
    _living(service)
    return schemas.ServerLive()


@router.get("/v2/health/ready", tags=["open inference protocol"])
async def server_ready(service: Service) -> schemas.ServerReady:
    """``GET /readyz`` in other words."""
    _ready(service)
    return schemas.ServerReady()


@router.get("/v2/models/{name}", tags=["open inference protocol"])
@router.get("/v2/models/{name}/versions/{version}", tags=["open inference protocol"])
async def model_metadata(service: Service, name: str, version: str | None = None) -> schemas.ModelMetadata:
    """What a model takes and gives."""
    model = _find(service, name, version)
    inputs, outputs = _tensors(model)
    return schemas.ModelMetadata(name=model.name, versions=[model.version], inputs=inputs, outputs=outputs)


@router.get("/v2/models/{name}/ready", tags=["open inference protocol"])
@router.get("/v2/models/{name}/versions/{version}/ready", tags=["open inference protocol"])
async def model_ready(service: Service, name: str, version: str | None = None) -> schemas.ModelReady:
    """Whether requests for this model may be sent here."""
    model = _find(service, name, version)
    _ready(service)
    return schemas.ModelReady(name=model.name)


def _living(service: ModelService) -> None:
    if service.engine.failed:
        _ready(service)


def _ready(service: ModelService) -> None:
    if (reason := service.unready()) is not None:
        raise NotReady(reason)


def _checks(service: ModelService) -> schemas.Checks:
    models = list(service.models.values())
    return schemas.Checks(
        engine_alive=service.engine.alive,
        draining=service.engine.draining,
        models=[model_ref(model) for model in models],
        warm_up=[
            schemas.WarmUp(model=model.name, seconds=service.warm_up_seconds.get(model.name))
            for model in models
        ],
        unfinished=service.engine.unfinished,
        queue_size=service.settings.queue_size,
    )


def _find(service: ModelService, name: str, version: str | None) -> ReadyModel:
    model = service.models.get(name)
    if model is None or version not in (None, model.version):
        raise UnknownModel(f"{name} of version {model.version}" for name, model in service.models.items())
    return model


def _tensors(model: ReadyModel) -> tuple[list[TensorMetadata], list[TensorMetadata]]:
    """What the model takes and gives, as arrays."""
    picture = [model.image_size, model.image_size, 3]
    if isinstance(model, ReadyPlanner):
        subgoals = [model.planner.config.keyframes, *picture]
        return (
            [_bytes("start", picture), _bytes("goal", picture)],
            [_bytes("subgoals", subgoals), _floats("cost", [1])],
        )
    frames, images = _bytes("frames", [-1, *picture]), _bytes("images", [-1, *picture])
    if isinstance(model, ReadyKalman):
        return [frames], [images, _floats("means", [-1, -1, 2]), _floats("covariances", [-1, -1, 2, 2])]
    assert isinstance(model, ReadySVG | ReadyWorldModel)
    inputs, width = [frames], model.world.config.actions
    if width:
        inputs += [_floats("past_actions", [-1, width]), _floats("actions", [-1, width])]
    if isinstance(model, ReadySVG):
        return inputs, [images]
    outputs = [_floats("keypoints", [-1, model.world.config.keypoints, 3]), images]
    return inputs, outputs + ([_floats("rewards", [-1])] if model.heads else [])


def _bytes(name: str, shape: list[int]) -> TensorMetadata:
    return TensorMetadata(name=name, datatype="UINT8", shape=shape)


def _floats(name: str, shape: list[int]) -> TensorMetadata:
    return TensorMetadata(name=name, datatype="FP32", shape=shape)
