"""Simulated worlds over HTTP, as the server knows them."""

from server.http.resource import WORK_ERRORS, Body, Resource
from server.scenes.routes import router
from server.scenes.schemas import CLIPS_PATH, ENVIRONMENTS_PATH, SCENES_PATH, ClipRequest, SceneRequest

SCENES = Resource(
    router=router,
    errors={
        (ENVIRONMENTS_PATH, "get"): frozenset({500}),
        (SCENES_PATH, "post"): WORK_ERRORS,
        (CLIPS_PATH, "post"): WORK_ERRORS,
    },
    bodies={
        SCENES_PATH: Body(SceneRequest, lambda service: {"environment": "push", "seed": 3}),
        CLIPS_PATH: Body(
            ClipRequest, lambda service: {"environment": "cartpole-balance", "seed": 3, "steps": 20}
        ),
    },
)
