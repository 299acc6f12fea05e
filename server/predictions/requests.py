"""Requests for rewards, keypoints and predictions -> tasks: all that depends on the model is checked here."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from planner.loaded import ReadyModel, ReadyWorldModel
from server.engine.task import drawn
from server.errors import TooMuchWork, invalid
from server.http.bodies import decode_frames
from server.models.eye import correct
from server.predictions import schemas
from server.predictions.keypoint_task import Edit, KeypointTask, PredictionTask, RewardTask, Seen
from server.predictions.schemas import MAX_FUTURE_FRAMES, MAX_REWARDS


def reward_task(request: schemas.RewardRequest, model: ReadyWorldModel) -> RewardTask:
    """Raises InvalidRequest, InvalidPicture, StrangePicture, TooMuchWork."""
    if request.task not in model.heads:
        raise invalid("task", f"There is no such task here; {task_sizes(model)}.")
    ready = model.heads[request.task]
    width = ready.head.config.actions
    steps = len(request.actions[0])
    if any(len(sequence) != steps for sequence in request.actions):
        raise invalid("actions", "All action sequences of a request must have the same number of steps.")
    if len(request.actions) * steps > MAX_REWARDS:
        raise TooMuchWork(
            ("sequences", len(request.actions)), ("steps", steps), unit="rewards", limit=MAX_REWARDS
        )
    message = f"Actions of this task have {width} numbers; {task_sizes(model)}."
    check_width("past_actions", request.past_actions, width, message)
    for index, sequence in enumerate(request.actions):
        check_width(f"actions.{index}", sequence, width, message)
    return RewardTask(
        model, request.task, ready, corrected(request, model, width), np.array(request.actions, np.float32)
    )


def keypoint_task(request: schemas.KeypointRequest, model: ReadyWorldModel) -> KeypointTask:
    """Raises InvalidRequest, InvalidPicture, StrangePicture."""
    return KeypointTask(model, *correct(model.eye, decode_frames(request.frames, model.image_size)))


def prediction_task(request: schemas.PredictionRequest, model: ReadyWorldModel) -> PredictionTask:
    """Raises InvalidRequest, InvalidPicture, StrangePicture, TooMuchWork."""
    if request.objects is not None:
        raise invalid("objects", "This model finds keypoints and no objects; leave out objects.")
    check_samples(request, model.world.config.stochastic)
    actions = followed(request, model.world.decision_dim, task_sizes(model) if model.heads else None)
    samples = 1 if request.samples is None else request.samples
    check_frames(samples, len(actions))
    edits = [_edit(index, edit, request, model) for index, edit in enumerate(request.edits)]
    seed = None if request.samples is None else drawn(request.seed)
    context = corrected(request, model, actions.shape[1])
    return PredictionTask(model, context, edits, actions, samples, seed, request.render)


def followed(
    request: schemas.PredictionRequest, most: int, sizes: str | None = None, least: int = 1
) -> Float[np.ndarray, "L A"]:
    """The actions to follow, of ``least`` to ``most`` numbers; of width 0 for a model that takes none.

    ``sizes`` says more about widths. Raises InvalidRequest.
    """
    if not most:
        for name in ("actions", "past_actions"):
            if getattr(request, name):
                raise invalid(name, "This model takes no actions; say how many frames to predict in steps.")
        return np.zeros((steps_of(request), 0), np.float32)
    if request.steps is not None:
        raise invalid("steps", "This model takes actions and predicts one frame for each; leave out steps.")
    if request.actions is None:
        raise invalid("actions", "This model needs the actions from the last frame on.")
    width, more = len(request.actions[0]), f"; {sizes}" if sizes else ""
    if not least <= width <= most:
        numbers = str(most) if least == most else f"{least} to {most}"
        raise invalid("actions", f"Actions of this model have {numbers} numbers{more}.")
    message = f"All actions of a request must have as many numbers as the first{more}."
    check_width("actions", request.actions, width, message)
    check_width("past_actions", request.past_actions, width, message)
    return np.array(request.actions, np.float32)


def steps_of(request: schemas.PredictionRequest) -> int:
    """Raises InvalidRequest if it does not say how many."""
    if request.steps is None:
        raise invalid("steps", f"Say how many frames to predict: 1 to {schemas.MAX_STEPS}.")
    return request.steps


def check_samples(request: schemas.PredictionRequest, stochastic: bool) -> None:
    """Raises InvalidRequest if samples are wanted of a model that has none."""
    if request.samples is not None and not stochastic:
        raise invalid("samples", "This model is deterministic: leave out samples for its only prediction.")


def check_frames(samples: int, steps: int) -> None:
    """Raises TooMuchWork."""
    if samples * steps > MAX_FUTURE_FRAMES:
        raise TooMuchWork(("samples", samples), ("steps", steps), unit="frames", limit=MAX_FUTURE_FRAMES)


def _edit(index: int, edit: schemas.Edit, request: schemas.PredictionRequest, model: ReadyWorldModel) -> Edit:
    keypoints, frames = model.world.config.keypoints, len(request.frames)
    if edit.keypoint >= keypoints:
        raise invalid(f"edits.{index}.keypoint", f"This model has the keypoints 0 to {keypoints - 1}.")
    if edit.frame is not None and edit.frame >= frames:
        raise invalid(f"edits.{index}.frame", f"This request has the frames 0 to {frames - 1}.")
    if edit.dx is not None and edit.dy is not None:
        return Edit(edit.frame, edit.keypoint, (edit.dx, edit.dy), relative=True)
    assert edit.x is not None and edit.y is not None  # the schema has seen to it
    return Edit(edit.frame, edit.keypoint, (edit.x, edit.y), relative=False)


def seen(request: schemas.ContextRequest, model: ReadyModel, width: int) -> Seen:
    """What was seen; the actions between frames may be missing only where there are none to be known.

    Raises InvalidRequest, InvalidPicture.
    """
    between, given = len(request.frames) - 1, len(request.past_actions)
    if width and given != between:
        message = f"{len(request.frames)} frames have {between} actions between them, not {given}."
        raise invalid("past_actions", message)
    past = np.array(request.past_actions, np.float32).reshape(between, width)
    return Seen(decode_frames(request.frames, model.image_size), past)


def corrected(request: schemas.ContextRequest, model: ReadyModel, width: int) -> Seen:
    """What was seen, as the model is to see it. Raises likewise, and StrangePicture."""
    sent = seen(request, model, width)
    frames, look = correct(model.eye, sent.frames)
    return Seen(frames, sent.actions, look)


def check_width(field: str, actions: Sequence[Sequence[float]], width: int, message: str) -> None:
    """Raises InvalidRequest, with the message, if an action does not have ``width`` numbers."""
    for index, action in enumerate(actions):
        if len(action) != width:
            raise invalid(f"{field}.{index}", message)


def task_sizes(model: ReadyWorldModel) -> str:
    """The tasks of a model and their action sizes, in words."""
    sizes = (f"{task} {ready.head.config.actions}" for task, ready in model.heads.items())
    return f"tasks and their action sizes: {', '.join(sizes)}"
