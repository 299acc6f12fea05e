"""Requests for scenes and clips -> tasks: all that depends on the environment is checked here."""

from server.engine.task import drawn
from server.environments import KINDS, Worlds, kind_of
from server.predictions.reading import invalid
from server.scenes.schemas import ClipRequest, SceneRequest
from server.scenes.task import ClipTask, SceneTask


def scene_task(request: SceneRequest, worlds: Worlds) -> SceneTask:
    """Raises InvalidRequest, UnknownEnvironment."""
    if kind_of(request.environment) != "push":
        pushing = ", ".join(name for name, kind in KINDS.items() if kind == "push")
        raise invalid("environment", f"This environment has no goal pictures; those that have: {pushing}.")
    return SceneTask(worlds, request.environment, drawn(request.seed))


def clip_task(request: ClipRequest, worlds: Worlds) -> ClipTask:
    """Raises UnknownEnvironment."""
    kind_of(request.environment)
    return ClipTask(worlds, request.environment, drawn(request.seed), request.steps)
