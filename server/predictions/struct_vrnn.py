"""What the server knows of Struct-VRNNs: they find keypoints, predict how these move and what that earns."""

from typing import Any

from planner.loaded import ReadyWorldModel
from planner.low_levels.learned import horizon_of
from server.http.pictures import to_base64
from server.http.resource import Example
from server.models.adapter import Arrays, numbers, pictures
from server.predictions import schemas
from server.predictions.keypoint_task import example_prediction
from server.predictions.predictor import Predictor
from server.predictions.requests import prediction_task
from server.schemas import MAX_SEED, Range


def reward_example(model: ReadyWorldModel) -> Example | None:
    """A request for rewards; None if the model predicts none."""
    for name, ready in model.heads.items():
        still = [[0.0] * ready.head.config.actions]
        frame = to_base64(example_prediction(model).seen.frames[0])
        return {"model": model.name, "task": name, "frames": [frame], "actions": [still, still]}
    return None


def keypoint_example(model: ReadyWorldModel) -> Example:
    """A request for keypoints."""
    frames = example_prediction(model).seen.frames
    return {"model": model.name, "frames": [to_base64(frame) for frame in frames]}


def _example(model: ReadyWorldModel) -> Example:
    task, driven = example_prediction(model), model.world.decision_dim > 0
    actions = task.actions.tolist()
    past = {"past_actions": task.seen.actions.tolist()} if driven else {}
    future = {"actions": actions} if driven else {"steps": len(actions)}
    edit = {"frame": 1, "keypoint": 0, "dx": 4.0, "dy": 0.0}
    return keypoint_example(model) | past | future | {"edits": [edit]}


def _facts(model: ReadyWorldModel) -> dict[str, Any]:
    config = model.world.config
    return {
        "kind": "world-model",
        "keypoints": config.keypoints,
        "actions": config.actions,
        "stochastic": config.stochastic,
        "tasks": [_task(model, name) for name in config.tasks],
        "limits": {
            "frames": Range(min=1, max=schemas.MAX_FRAMES),
            "steps": Range(min=1, max=schemas.MAX_STEPS),
            "sequences": Range(min=1, max=schemas.MAX_SEQUENCES),
            "reward_work": schemas.MAX_REWARDS,
            "samples": Range(min=1, max=schemas.MAX_SAMPLES),
            "prediction_work": schemas.MAX_FUTURE_FRAMES,
            "edits": Range(min=0, max=schemas.MAX_EDITS),
            "seed": Range(min=0, max=MAX_SEED),
        },
    }


def _task(model: ReadyWorldModel, name: str) -> dict[str, Any]:
    ready = model.heads.get(name)
    return {
        "name": name,
        "actions": None if ready is None else ready.head.config.actions,
        "reward_head": None if ready is None else ready.sha256,
        "horizon": horizon_of(name),
    }


def _arrays(model: ReadyWorldModel) -> Arrays:
    inputs, width = [pictures("frames", model.image_size, -1)], model.world.config.actions
    if width:
        inputs += [numbers("past_actions", -1, width), numbers("actions", -1, width)]
    outputs = [
        numbers("keypoints", -1, model.world.config.keypoints, 3),
        pictures("images", model.image_size, -1),
    ]
    return Arrays(inputs, outputs + ([numbers("rewards", -1)] if model.heads else []))


STRUCT_VRNNS = Predictor(
    kind=ReadyWorldModel,
    tasks=lambda model: [example_prediction(model)],
    facts=_facts,
    arrays=_arrays,
    task=prediction_task,
    example=_example,
)
