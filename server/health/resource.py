"""The server's health over HTTP, as the rest of the server knows it."""

from server.health.routes import router
from server.health.schemas import LIVE_PATH, READY_PATH
from server.http.resource import Resource

HEALTH = Resource(
    router=router,
    errors={
        (path, "get"): frozenset(statuses)
        for path, statuses in {
            LIVE_PATH: {500, 503},
            READY_PATH: {422, 500, 503},
            "/metrics": {500},
            "/v2": {500},
            "/v2/health/live": {500, 503},
            "/v2/health/ready": {500, 503},
            "/v2/models/{name}": {404, 422, 500},
            "/v2/models/{name}/versions/{version}": {404, 422, 500},
            "/v2/models/{name}/ready": {404, 422, 500, 503},
            "/v2/models/{name}/versions/{version}/ready": {404, 422, 500, 503},
        }.items()
    },
    # What orchestrators ask without a key.
    open_paths=frozenset({LIVE_PATH, READY_PATH, "/v2/health/live", "/v2/health/ready"}),
)
