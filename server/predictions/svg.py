"""What the server knows of SVG models: they predict pictures from pictures."""

from typing import Any

from planner.loaded import ReadySVG
from server.http.pictures import to_base64
from server.http.resource import Example
from server.models.adapter import Arrays, numbers, pictures
from server.predictions import schemas
from server.predictions.predictor import Predictor
from server.predictions.video_requests import video_task
from server.predictions.video_task import example_video
from server.schemas import MAX_SEED, Range


def _example(model: ReadySVG) -> Example:
    task = example_video(model)
    frames = [to_base64(frame) for frame in task.seen.frames]
    driven = {"past_actions": task.seen.actions.tolist(), "actions": task.actions.tolist()}
    future = driven if task.actions.shape[1] else {"steps": len(task.actions)}
    return {"model": model.name, "frames": frames} | future


def _facts(model: ReadySVG) -> dict[str, Any]:
    config = model.world.config
    return {
        "kind": "svg",
        "grey": config.channels == 1,
        "prior": config.prior,
        "actions": config.actions,
        "stochastic": config.prior != "none",
        "limits": {
            "frames": Range(min=1, max=schemas.MAX_FRAMES),
            "steps": Range(min=1, max=schemas.MAX_STEPS),
            "samples": Range(min=1, max=schemas.MAX_SAMPLES),
            "prediction_work": schemas.MAX_FUTURE_FRAMES,
            "seed": Range(min=0, max=MAX_SEED),
        },
    }


def _arrays(model: ReadySVG) -> Arrays:
    inputs, width = [pictures("frames", model.image_size, -1)], model.world.config.actions
    if width:
        inputs += [numbers("past_actions", -1, width), numbers("actions", -1, width)]
    return Arrays(inputs, [pictures("images", model.image_size, -1)])


SVGS = Predictor(
    kind=ReadySVG,
    tasks=lambda model: [example_video(model)],
    facts=_facts,
    arrays=_arrays,
    task=video_task,
    example=_example,
)
