"""How the server is: for orchestrators, for Prometheus, and in the words of the Open Inference Protocol (V2).

Of that protocol there is what can be read; inference is at ``/v1`` only.
"""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from planner.loaded import ReadyModel
from server.errors import NotReady, UnknownModel
from server.health import schemas
from server.http.exchange import Service, model_ref
from server.http.metrics import Metrics
from server.http.resource import Resource, Resources, adapters_of
from server.models.adapter import Array
from server.models.service import ModelService

router = APIRouter()


@router.get(schemas.LIVE_PATH, tags=["health"])
async def livez(service: Service) -> schemas.Alive:
    """Whether the process answers and its engine runs; if not, it should be started anew."""
    _living(service)
    return schemas.Alive(status="alive")


@router.get(schemas.READY_PATH, tags=["health"], response_model_exclude_none=True)
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
async def model_metadata(service: Service, resources: Resources, name: str) -> schemas.ModelMetadata:
    """What a model takes and gives."""
    return _metadata(_find(service, name), resources)


@router.get("/v2/models/{name}/versions/{version}", tags=["open inference protocol"])
async def model_version_metadata(
    service: Service, resources: Resources, name: str, version: str
) -> schemas.ModelMetadata:
    """What a model of this version takes and gives."""
    return _metadata(_find(service, name, version), resources)


@router.get("/v2/models/{name}/ready", tags=["open inference protocol"])
async def model_ready(service: Service, name: str) -> schemas.ModelReady:
    """Whether requests for this model may be sent here."""
    return _model_ready(service, _find(service, name))


@router.get("/v2/models/{name}/versions/{version}/ready", tags=["open inference protocol"])
async def model_version_ready(service: Service, name: str, version: str) -> schemas.ModelReady:
    """Whether requests for this model may be sent here, if it is of this version."""
    return _model_ready(service, _find(service, name, version))


def _metadata(model: ReadyModel, resources: Sequence[Resource]) -> schemas.ModelMetadata:
    arrays = next(adapter.arrays(model) for adapter in adapters_of(resources, model) if adapter.arrays)
    return schemas.ModelMetadata(
        name=model.name,
        versions=[model.version],
        inputs=[_tensor(array) for array in arrays.inputs],
        outputs=[_tensor(array) for array in arrays.outputs],
    )


def _model_ready(service: ModelService, model: ReadyModel) -> schemas.ModelReady:
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


def _find(service: ModelService, name: str, version: str | None = None) -> ReadyModel:
    model = service.models.get(name)
    if model is None or version not in (None, model.version):
        raise UnknownModel(f"{name} of version {model.version}" for name, model in service.models.items())
    return model


def _tensor(array: Array) -> schemas.TensorMetadata:
    return schemas.TensorMetadata(name=array.name, datatype=array.datatype, shape=list(array.shape))
