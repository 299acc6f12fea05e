"""The list of models over HTTP, as the rest of the server knows it."""

from server.catalogue.routes import router
from server.http.resource import Resource

CATALOGUE = Resource(router=router, errors={("/v1/models", "get"): frozenset({500})})
