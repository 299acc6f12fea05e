"""What the server knows of Kalman models: they follow objects, and smooth over frames that are missing."""

from typing import Any

from planner.loaded import ReadyKalman
from server.http.pictures import to_base64
from server.http.resource import Example
from server.models.adapter import Arrays, numbers, pictures
from server.predictions import schemas
from server.predictions.predictor import Predictor
from server.predictions.video_requests import track_task
from server.predictions.video_task import example_interpolation, example_track
from server.schemas import Range


def interpolation_example(model: ReadyKalman) -> Example:
    """A request for missing frames."""
    task = example_interpolation(model)
    before, after = ([to_base64(frame) for frame in frames] for frames in (task.before, task.after))
    sides = {"model": model.name, "before": before, "after": after}
    return sides | {"steps": task.steps, "objects": task.objects}


def _example(model: ReadyKalman) -> Example:
    task = example_track(model)
    frames = [to_base64(frame) for frame in task.frames]
    return {"model": model.name, "frames": frames, "steps": task.steps, "objects": task.objects}


def _facts(model: ReadyKalman) -> dict[str, Any]:
    return {
        "kind": "kalman",
        "limits": {
            "frames": Range(min=1, max=schemas.MAX_FRAMES),
            "steps": Range(min=1, max=schemas.MAX_STEPS),
            "objects": Range(min=1, max=model.world.config.most_objects),
        },
    }


def _arrays(model: ReadyKalman) -> Arrays:
    positions = [numbers("means", -1, -1, 2), numbers("covariances", -1, -1, 2, 2)]
    frames, images = (pictures(name, model.image_size, -1) for name in ("frames", "images"))
    return Arrays([frames], [images, *positions])


KALMANS = Predictor(
    kind=ReadyKalman,
    tasks=lambda model: [example_track(model), example_interpolation(model)],
    facts=_facts,
    arrays=_arrays,
    task=track_task,
    example=_example,
    follows_objects=True,
)
