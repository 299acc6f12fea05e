"""World models over HTTP, as the server knows them: rewards, keypoints, predictions, interpolations."""

from planner.loaded import ReadyKalman, ReadyWorldModel
from server.http.resource import WORK_ERRORS, Body, Example, Resource, first_example
from server.models.service import ModelService
from server.predictions import schemas
from server.predictions.kalman import interpolation_example
from server.predictions.models import PREDICTORS
from server.predictions.routes import router
from server.predictions.struct_vrnn import keypoint_example, reward_example


def _prediction_example(service: ModelService) -> Example | None:
    examples = (first_example(service, predictor.kind, predictor.example) for predictor in PREDICTORS)
    return next((example for example in examples if example is not None), None)


_BODIES = {
    schemas.REWARDS_PATH: Body(
        schemas.RewardRequest, lambda service: first_example(service, ReadyWorldModel, reward_example)
    ),
    schemas.KEYPOINTS_PATH: Body(
        schemas.KeypointRequest, lambda service: first_example(service, ReadyWorldModel, keypoint_example)
    ),
    schemas.PREDICTIONS_PATH: Body(schemas.PredictionRequest, _prediction_example),
    schemas.INTERPOLATIONS_PATH: Body(
        schemas.InterpolationRequest,
        lambda service: first_example(service, ReadyKalman, interpolation_example),
    ),
}

PREDICTIONS = Resource(
    router=router,
    errors={(path, "post"): WORK_ERRORS for path in _BODIES},
    bodies=_BODIES,
    adapters=PREDICTORS,
)
