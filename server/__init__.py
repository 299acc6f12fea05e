"""HTTP: the planner as a service, and its Python client."""

from world_models import __version__ as __version__
