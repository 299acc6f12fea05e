"""The control models of evaluations: one per task, by a name that may hold the task's."""

from typing import Any

from planner.loaded import ReadyControl
from planner.loading import load_control
from world_models.shipped import shipped_models


def shipped_control(task: str) -> str | None:
    """The name of the control model that ships for a task; None if there is none."""
    name = f"control-{task}"
    return name if name in shipped_models() else None


def find_control(name: str, task: str, device: str) -> ReadyControl:
    """The control model of a task; ``{task}`` in its name stands for the task.

    Raises:
        ValueError: there is no such model, or it is of another task.
        CheckpointError: its files are damaged, or the Struct-VRNN it reads is not there.
    """
    model = load_control(name.replace("{task}", task), device)
    if (trained := model.control.config.task) != task:
        raise ValueError(f"{model.name} was trained to do {trained}, not {task}; choose another model")
    return model


def describe_control(model: ReadyControl) -> dict[str, Any]:
    """What outcomes depend on."""
    found = {
        "objective": "reward",
        "weights_sha256": model.weights_sha256,
        "detector_sha256": model.control.config.detector,
    }
    return found if model.eye.digest is None else found | {"eye_sha256": model.eye.digest}
