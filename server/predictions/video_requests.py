"""Requests for SVG and Kalman models -> tasks: all that depends on the model is checked here."""

from collections.abc import Collection

from pydantic import BaseModel

from planner.loaded import ReadyKalman, ReadySVG
from server.engine.task import drawn
from server.errors import InvalidRequest, invalid
from server.http.bodies import decode_frames
from server.predictions import schemas
from server.predictions.requests import check_frames, check_samples, followed, seen, steps_of
from server.predictions.video_task import InterpolationTask, TrackTask, VideoTask
from server.schemas import FieldError, Options

_ALWAYS = {*Options.model_fields, "frames"}
_TRACK_FIELDS = {*_ALWAYS, "steps", "objects", "render"}
_VIDEO_FIELDS = {*_ALWAYS, "steps", "samples", "seed"}
_DRIVEN_FIELDS = {*_ALWAYS, "past_actions", "actions", "samples", "seed"}


def video_task(request: schemas.PredictionRequest, model: ReadySVG) -> VideoTask:
    """Raises InvalidRequest, InvalidPicture, TooMuchWork."""
    config = model.world.config
    if config.actions:
        _check_fields(request, _DRIVEN_FIELDS, "an SVG model that takes actions")
    else:
        _check_fields(request, _VIDEO_FIELDS, "an SVG model")
    check_samples(request, stochastic=config.prior != "none")
    actions = followed(request, config.actions, least=config.actions)
    samples = 1 if request.samples is None else request.samples
    check_frames(samples, len(actions))
    seed = None if request.samples is None else drawn(request.seed)
    return VideoTask(model, seen(request, model, config.actions), actions, samples, seed)


def track_task(request: schemas.PredictionRequest, model: ReadyKalman) -> TrackTask:
    """Raises InvalidRequest, InvalidPicture."""
    _check_fields(request, _TRACK_FIELDS, "a Kalman model")
    objects, steps = _objects(request.objects, model), steps_of(request)
    frames = decode_frames(request.frames, model.image_size)
    return TrackTask(model, frames, objects, steps, request.render)


def interpolation_task(request: schemas.InterpolationRequest, model: ReadyKalman) -> InterpolationTask:
    """Raises InvalidRequest, InvalidPicture."""
    objects = _objects(request.objects, model)
    before = decode_frames(request.before, model.image_size, "before")
    after = decode_frames(request.after, model.image_size, "after")
    return InterpolationTask(model, before, after, objects, request.steps, request.render)


def _objects(count: int | None, model: ReadyKalman) -> int:
    most = model.world.config.most_objects
    if count is None or count > most:
        raise invalid("objects", f"Say how many objects there are; this model follows 1 to {most}.")
    return count


def _check_fields(request: BaseModel, known: Collection[str], kind: str) -> None:
    """Refuse fields that would change nothing; those with their default values say nothing."""
    fields = type(request).model_fields.items()
    errors = [
        FieldError(field=name, message=f"Of no use to {kind}; the fields are {', '.join(sorted(known))}.")
        for name, field in fields
        if name not in known and getattr(request, name) != field.default
    ]
    if errors:
        raise InvalidRequest(errors)
