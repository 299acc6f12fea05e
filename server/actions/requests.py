"""Requests for actions -> tasks: all that depends on the model and on plans made before is checked here."""

import numpy as np
from jaxtyping import UInt8

from planner.loaded import Acting, ReadyControl
from planner.low_levels.learned import horizon_of
from planner.search.servo import ServoConfig
from server.actions.schemas import MAX_IMAGINED, ActionRequest
from server.actions.task import SEARCHES, ActionTask
from server.engine.task import drawn
from server.errors import TooMuchWork, invalid
from server.http.bodies import decode_frames, decode_text
from server.http.pictures import Picture, from_base64
from server.models.eye import from_calibration
from server.plans.memory import Plans
from server.predictions.requests import check_width, seen, task_sizes
from server.predictions.schemas import MAX_STEPS
from world_models.eye import STANDARD, Calibration


def action_task(request: ActionRequest, model: Acting, plans: Plans) -> ActionTask:
    """Raises InvalidRequest, InvalidPicture, TooMuchWork, UnknownPlan."""
    if request.render and request.objective == "value":
        raise invalid("render", "Control models imagine no pictures: leave out render.")
    if request.objective != "keypoints":
        for field in ("path", "step"):
            if getattr(request, field) is not None:
                raise invalid(
                    field, "Frames are followed with the objective keypoints alone: send a subgoal."
                )
    width, sizes = _width(request, model)
    config = _search(request)
    check_width("past_actions", request.past_actions, width, sizes)
    warm_start = None
    if request.warm_start is not None:
        given = len(request.warm_start)
        if given != config.horizon:
            message = f"A warm start has an action for each of the {config.horizon} steps of the horizon, "
            raise invalid("warm_start", f"{message}not {given}.")
        check_width("warm_start", request.warm_start, width, sizes)
        warm_start = np.array(request.warm_start, np.float32)
    return ActionTask(
        model,
        request.objective,
        request.task,
        config,
        seen(request, model, width),
        None if _follows(request) else _subgoal(request, model, plans),
        warm_start,
        drawn(request.seed),
        request.render,
        _calibration(request, model, plans),
        _path(request, model, plans) if _follows(request) else None,
    )


def _width(request: ActionRequest, model: Acting) -> tuple[int, str]:
    """Numbers per action, and a sentence about that."""
    if isinstance(model, ReadyControl):
        task, width = model.control.config.task, model.control.config.actions
        if request.task != task:
            raise invalid("task", f"This model was trained to do {task} alone.")
        return width, f"Actions of this task have {width} numbers."
    if request.task is None:
        width = model.world.decision_dim
        return width, f"Actions of this model have {width} numbers."
    if request.task not in model.heads:
        raise invalid("task", f"There is no such task here; {task_sizes(model)}.")
    width = model.heads[request.task].head.config.actions
    return width, f"Actions of this task have {width} numbers; {task_sizes(model)}."


def _search(request: ActionRequest) -> ServoConfig:
    """The search with what the request says about it."""
    config = SEARCHES[request.objective]
    cem = {name: getattr(request, name) for name in ("candidates", "iterations")}
    asked = {name: value for name, value in cem.items() if value is not None}
    horizon = request.horizon
    if horizon is None:
        own = request.task if request.objective in ("reward", "goal") else None
        horizon = config.horizon if own is None else horizon_of(own)
    config = config.model_copy(update={"horizon": horizon, "cem": config.cem.model_copy(update=asked)})
    if config.imagined_steps > MAX_IMAGINED:
        raise TooMuchWork(
            ("candidates", config.cem.candidates),
            ("iterations", config.cem.iterations),
            ("horizon", config.horizon),
            unit="steps",
            limit=MAX_IMAGINED,
        )
    return config


def _calibration(request: ActionRequest, model: Acting, plans: Plans) -> Calibration:
    """As sent, as found in the pair of pictures, or that of the plan. Raises InvalidRequest if there is
    something to correct, and the model has no eye to do so.
    """
    found = _found_calibration(request, model, plans)
    if found != STANDARD and model.eye.reference is None:
        field = "plan" if request.calibration is None else "calibration"
        raise invalid(field, "This model has no eye to correct pictures with: choose another model.")
    return found


def _found_calibration(request: ActionRequest, model: Acting, plans: Plans) -> Calibration:
    if request.calibration is not None:
        return from_calibration(request.calibration)
    if request.start is not None and request.goal is not None:
        start, goal = (
            decode_text(field, sent, model.image_size)
            for field, sent in (("start", request.start), ("goal", request.goal))
        )
        return model.eye.calibrate(start, goal)
    return STANDARD if request.plan is None else plans.calibration(request.plan)


def _subgoal(request: ActionRequest, model: Acting, plans: Plans) -> Picture | None:
    if request.objective in ("reward", "value"):
        if request.subgoal is not None or request.plan is not None:
            raise invalid("subgoal", "Reward is sought without a subgoal: leave out subgoal, plan and index.")
        return None
    if request.plan is None:
        if request.subgoal is None:
            raise invalid("subgoal", "Say where to go: send subgoal, or plan and index.")
        return decode_text("subgoal", request.subgoal, model.image_size)
    pictures = plans.subgoals(request.plan)
    if request.index is None or request.index >= len(pictures):
        raise invalid("index", f"This plan has the subgoals 0 to {len(pictures) - 1}.")
    _check_size(pictures, model)
    return pictures[request.index]


def _follows(request: ActionRequest) -> bool:
    return request.path is not None or request.step is not None


def _path(request: ActionRequest, model: Acting, plans: Plans) -> UInt8[np.ndarray, "K H W 3"]:
    """The frames that are ahead: those sent, or those of the plan."""
    if request.path is not None:
        return decode_frames(request.path, model.image_size, "path")
    assert request.plan is not None and request.step is not None  # the schema has seen to it
    path = plans.path(request.plan)
    if path is None:
        raise invalid("step", "This plan is not followed frame by frame: send index in place of step.")
    _check_size(plans.subgoals(request.plan), model)
    return np.stack(
        [from_base64(frame) for frame in path[request.step : request.step + MAX_STEPS] or path[-1:]]
    )


def _check_size(pictures: UInt8[np.ndarray, "L H W 3"], model: Acting) -> None:
    """Raises InvalidRequest if pictures of a plan are not of the model's size."""
    size = pictures.shape[1]
    if size != model.image_size:
        message = f"Pictures of this plan are {size} x {size} pixels; this model needs "
        raise invalid("plan", f"{message}{model.image_size} x {model.image_size}.")
