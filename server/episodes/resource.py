"""Episodes over HTTP, as the server knows them."""

from planner.loaded import ReadyPlanner
from server.environments import KINDS
from server.episodes.routes import router
from server.episodes.schemas import EPISODES_PATH, EpisodeRequest
from server.http.openapi import describe_stream
from server.http.resource import WORK_ERRORS, Body, Example, Resource
from server.models.service import ModelService
from server.predictions.models import pushing_models, reward_models


def _example(service: ModelService) -> Example | None:
    """A short episode; None where no model could act or plan."""
    some = {"seed": 3, "episode_seed": 7, "steps": 5}
    for planner in service.of(ReadyPlanner):
        pushing = pushing_models(service)
        acting = {"model": pushing[0].name} if pushing else {"servo": "simulator"}
        return {"environment": "push", "planner": planner.name} | acting | some
    for model in reward_models(service):
        for task in model.heads:
            if task in KINDS:
                return {"environment": task, "model": model.name, "objective": "reward"} | some
    return None


EPISODES = Resource(
    router=router,
    errors={(EPISODES_PATH, "post"): WORK_ERRORS},
    bodies={EPISODES_PATH: Body(EpisodeRequest, _example)},
    describe=lambda document: describe_stream(document["paths"][EPISODES_PATH]["post"]),
)
