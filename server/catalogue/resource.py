"""The list of models over HTTP, as the rest of the server knows it."""

from server.catalogue.routes import router
from server.catalogue.schemas import MODELS_PATH
from server.http.resource import Resource

CATALOGUE = Resource(router=router, errors={(MODELS_PATH, "get"): frozenset({500})})
