"""Simulated worlds over HTTP, as the server knows them."""

from server.http.resource import WORK_ERRORS, Body, Resource
from server.scenes.routes import router
from server.scenes.schemas import ClipRequest, SceneRequest

SCENES = Resource(
    router=router,
    errors={
        ("/v1/environments", "get"): frozenset({500}),
        ("/v1/scenes", "post"): WORK_ERRORS,
        ("/v1/clips", "post"): WORK_ERRORS,
    },
    bodies={
        "/v1/scenes": Body(SceneRequest, lambda service: {"environment": "push", "seed": 3}),
        "/v1/clips": Body(
            ClipRequest, lambda service: {"environment": "cartpole-balance", "seed": 3, "steps": 20}
        ),
    },
)
