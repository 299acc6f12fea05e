"""The list of models: what all resources say of them."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter

from planner.loaded import ReadyModel
from server.catalogue.schemas import MODELS_PATH, ModelList
from server.http.exchange import Service, default_deadline_ms, model_ref
from server.http.resource import Resource, Resources, adapters_of
from server.schemas import Range
from server.settings import Settings

router = APIRouter()


@router.get(MODELS_PATH, tags=["models"])
async def list_models(service: Service, resources: Resources) -> ModelList:
    """The models that are loaded, what they expect and what may be asked of them."""
    models = [_described(model, service.settings, resources) for model in service.models.values()]
    return ModelList.model_validate({"models": models})


def _described(model: ReadyModel, settings: Settings, resources: Sequence[Resource]) -> dict[str, Any]:
    """What is said of every model, and what resources say of this one."""
    described: dict[str, Any] = {
        **dict(model_ref(model)),
        "weights_sha256": model.weights_sha256,
        "figures": [figure.model_dump() for figure in model.figures.values()],
        "image_size": model.image_size,
    }
    defaults: dict[str, Any] = {"deadline_ms": default_deadline_ms(settings)}
    limits: dict[str, Any] = {
        "deadline_ms": Range(min=1, max=settings.max_deadline_ms),
        "body_bytes": settings.max_body_bytes,
    }
    for adapter in adapters_of(resources, model):
        facts = adapter.facts(model)
        defaults |= facts.get("defaults", {})
        limits |= facts.get("limits", {})
        described |= facts
    return described | {"defaults": defaults, "limits": limits}
