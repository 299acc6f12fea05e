"""HTTP: the planner as a service, and its Python client."""
