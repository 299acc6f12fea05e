"""What is known of a kind of model that answers ``POST /v1/predictions``."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from planner.loaded import ReadyModel
from server.http.resource import Example
from server.models.adapter import Adapter
from server.predictions.keypoint_task import PredictionTask
from server.predictions.schemas import PredictionRequest
from server.predictions.video_task import TrackTask, VideoTask

M = TypeVar("M", bound=ReadyModel)


@dataclass(frozen=True, kw_only=True)
class Predictor(Adapter[M]):
    """A kind of model that predicts frames."""

    task: Callable[[PredictionRequest, M], PredictionTask | VideoTask | TrackTask]
    """What is to be done for a request. Raises InvalidRequest, InvalidPicture, TooMuchWork."""

    example: Callable[[M], Example]
    """A request that such a model can answer."""

    follows_objects: bool = False
    """Whether requests that say how many objects there are are meant for it."""
