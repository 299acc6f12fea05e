"""Which of the models of a service can answer what."""

from typing import Any

from planner.loaded import Acting, ReadyControl, ReadyModel, ReadyPlanner, ReadyWorldModel, best_first
from planner.loaded import Predictor as PredictingModel
from planner.low_levels.learned import moves_keypoints, moves_object
from server.environments import IMAGE_SIZE, kind_of
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
    """World models that predict the rewards of a task, the best first; those of any task if none knows it."""
    able = reward_models(service)
    knowing = [model for model in able if task in model.heads]
    return able if task is None or not knowing else best_first(knowing, task)


def valuing(service: ModelService, task: str | None) -> list[ReadyControl]:
    """Control models of a task, the best first; those of any task if there is none for it."""
    every = service.of(ReadyControl)
    own = [model for model in every if model.control.config.task == task]
    return every if task is None or not own else best_first(own, task)


def pushing_models(service: ModelService, task: str = "push") -> list[ReadyWorldModel]:
    """World models that know an object and what moves it, the best in a pushing task first."""
    return best_first(filter(moves_object, service.of(ReadyWorldModel)), task)


def keypoint_models(service: ModelService) -> list[ReadyWorldModel]:
    """World models that can be asked for what a picture shows, by a goal of their own."""
    return list(filter(moves_keypoints, service.of(ReadyWorldModel)))


def planners_in(service: ModelService, environment: str) -> list[ReadyPlanner]:
    """Planners that can plan in an environment, the best first."""
    pushing = kind_of(environment) == "push"
    able = (model for model in service.of(ReadyPlanner) if _fits(model) and not model.follows)
    return best_first(able, environment) if pushing else []


def pushers_in(service: ModelService, environment: str) -> list[ReadyWorldModel]:
    """World models that can push in an environment, the best first."""
    return list(filter(_fits, pushing_models(service, environment)))


def controllers_in(service: ModelService, environment: str, objective: str | None = None) -> list[Acting]:
    """Models that can act in an environment, the best first: all, or those that are after ``value`` or
    predicted ``reward``. Raises UnknownEnvironment.
    """
    if kind_of(environment) == "push":
        return [*pushers_in(service, environment)]
    own = [model for model in service.of(ReadyControl) if model.control.config.task == environment]
    knowing = [model for model in reward_models(service) if environment in model.heads]
    able: list[Acting] = [*own * (objective != "reward"), *knowing * (objective != "value")]
    return best_first(filter(_fits, able), environment)


def _fits(model: ReadyModel) -> bool:
    return model.image_size == IMAGE_SIZE
