"""Which of the models of a service can answer what."""

from typing import Any

from planner.loaded import Predictor as PredictingModel
from planner.loaded import ReadyWorldModel
from planner.low_levels.learned import moves_object
from server.models.service import ModelService
from server.predictions.kalman import KALMANS
from server.predictions.predictor import Predictor
from server.predictions.struct_vrnn import STRUCT_VRNNS
from server.predictions.svg import SVGS

PREDICTORS: tuple[Predictor[Any], ...] = (STRUCT_VRNNS, SVGS, KALMANS)
"""All kinds of models that predict frames."""


def predictor_of(model: PredictingModel) -> Predictor[Any]:
    """What is known of its kind."""
    return next(predictor for predictor in PREDICTORS if isinstance(model, predictor.kind))


def predicting(service: ModelService, objects: int | None) -> list[PredictingModel]:
    """Models that predict frames; first those that are meant for a request with or without objects."""
    kinds = tuple(predictor.kind for predictor in PREDICTORS)
    able = [model for model in service.models.values() if isinstance(model, kinds)]
    return sorted(able, key=lambda model: predictor_of(model).follows_objects != (objects is not None))


def reward_models(service: ModelService) -> list[ReadyWorldModel]:
    """World models that predict rewards."""
    return [model for model in service.of(ReadyWorldModel) if model.heads]


def rewarding(service: ModelService, task: str | None) -> list[ReadyWorldModel]:
    """World models that predict the rewards of a task, or of any task if none knows this one."""
    able = reward_models(service)
    return [model for model in able if task in model.heads] or able


def pushing_models(service: ModelService) -> list[ReadyWorldModel]:
    """World models that know the puck and the finger that pushes it."""
    return [model for model in service.of(ReadyWorldModel) if moves_object(model)]
