"""The next action: what the engine does with a Struct-VRNN, or a control model, that controls something."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from planner.evaluation.settings import FOLLOWING
from planner.loaded import Acting, ReadyControl, ReadyWorldModel
from planner.low_levels.dynamics import KeypointModel
from planner.low_levels.learned import (
    DMC_SERVO,
    PLACE_MEMORY,
    REWARD_MEMORY,
    VALUE_SERVO,
    control_by_goal,
    control_by_keypoints,
    control_by_place,
    control_for_reward,
    moves_keypoints,
    moves_object,
)
from planner.low_levels.low_level import LearnedServo
from planner.search.servo import ServoConfig
from server.actions.schemas import Objective
from server.engine.task import Work, go_on
from server.errors import NoObject
from server.http.pictures import Picture
from server.models.eye import usual_picture
from server.plans.task import Point, with_square
from server.predictions.keypoint_task import ModelTask, Seen
from world_models.eye import STANDARD, Calibration
from world_models.frames import to_bytes, to_tensor
from world_models.interface import Context
from world_models.struct_vrnn.dynamics import Belief

SEARCHES: dict[Objective, ServoConfig] = {
    "push": ServoConfig(),
    "keypoints": FOLLOWING.servo,
    "reward": DMC_SERVO,
    "goal": DMC_SERVO,
    "value": VALUE_SERVO,
}
"""How requests search that do not say."""
MEMORIES: dict[Objective, int] = {
    "push": PLACE_MEMORY,
    "keypoints": PLACE_MEMORY,
    "reward": REWARD_MEMORY,
    "goal": REWARD_MEMORY,
}
"""Frames that world models look at, the last ones; control models say for themselves."""


@dataclass(frozen=True)
class ActionOutcome:
    """The action, the warm start of the next step, and the chosen sequence with what is expected of it.

    ``places`` are those of the bodies of the pushing task in pixels (x right, y down), None with other
    objectives; ``rewards`` are None unless they were the objective; ``cost`` is None if none was finite.
    """

    action: Float[np.ndarray, " A"]
    warm_start: Float[np.ndarray, "L A"]
    decisions: Float[np.ndarray, "L A"]
    cost: float | None
    subgoal_position: Point | None
    places: Float[np.ndarray, "L J 2"] | None
    rewards: Float[np.ndarray, " L"] | None
    pictures: UInt8[np.ndarray, "L H W 3"] | None


@dataclass(frozen=True)
class ActionTask(ModelTask):
    """A next action to find; ``task`` is None with the objectives ``push`` and ``keypoints``, ``subgoal``
    with ``reward`` and ``value``, and where a ``path`` is followed, with ``keypoints`` alone. Models fit the
    objective: control models go with ``value`` alone.
    """

    kind: ClassVar[str] = "action"

    model: Acting

    objective: Objective
    task: str | None
    config: ServoConfig
    seen: Seen
    subgoal: Picture | None
    warm_start: Float[np.ndarray, "L A"] | None
    seed: int
    render: bool
    calibration: Calibration = STANDARD
    """How the frames are corrected before the model sees them; a subgoal needs no correction."""
    path: UInt8[np.ndarray, "K H W 3"] | None = None
    """What is to be seen after the coming steps."""

    @property
    def amount(self) -> float:
        """Steps imagined; a picture takes about as long as two hundred."""
        return self.config.imagined_steps + (200 * self.config.horizon if self.render else 0)

    def work(self, device: str) -> Work[ActionOutcome]:
        """Search and, if wanted, draw. Raises NoObject, Interrupted."""
        seen = self.model.eye.see(self.seen.frames, self.calibration)
        frames, past = to_tensor(seen, device), torch.from_numpy(self.seen.actions).to(device)
        subgoal = torch.zeros_like(frames[:1])
        if self.subgoal is not None:
            subgoal = to_tensor(self.subgoal, device)[None]
        position = self._find_object(subgoal) if self.objective == "push" else None
        controller = self._controller()
        state = controller.look(Context(frames[None], past[None]))
        warm_start = None if self.warm_start is None else torch.from_numpy(self.warm_start).to(device)[None]
        generator = torch.Generator().manual_seed(self.seed)
        yield from go_on()
        path = None if self.path is None else to_tensor(self.path, device)
        step = yield from controller.servo.acting(state, subgoal, warm_start, [generator], path)
        cost, future = step.cost.item(), controller.model.imagine(state, step.decisions)
        pictures = (yield from self._draw(frames[-1:], state, step.decisions)) if self.render else None
        return ActionOutcome(
            action=_numbers(step.action[0]),
            warm_start=_numbers(step.warm_start[0]),
            decisions=_numbers(step.decisions[0]),
            cost=cost if math.isfinite(cost) else None,
            subgoal_position=position,
            places=_numbers(future.features[0].unflatten(-1, (-1, 2))) if self.objective == "push" else None,
            rewards=_numbers(future.features[0, :, 0]) if self.objective in ("reward", "value") else None,
            pictures=pictures,
        )

    def _find_object(self, subgoal: Float[Tensor, "1 C H W"]) -> Point:
        """Where the subgoal shows what is to be moved. Raises NoObject."""
        goal = self.model.world.config.goal
        assert goal is not None, "only models with a goal are asked to push"
        thing, found = goal.objects[0].body, goal.objects[0].segmenter
        blob = found.blob(subgoal)
        x, y = blob.centre[0].tolist()
        if math.isnan(x):
            raise NoObject("subgoal", thing, int(blob.mass[0]), found.min_mass, found.max_mass)
        return x, y

    def _controller(self) -> LearnedServo:
        if self.objective in ("reward", "value"):
            assert self.task is not None
            return control_for_reward(self.model, self.task, self.config)
        assert isinstance(self.model, ReadyWorldModel)
        if self.objective == "keypoints":
            return control_by_keypoints(self.model, self.model.world.decision_dim, self.config)
        if self.task is None:
            return control_by_place(self.model, self.config)
        return control_by_goal(self.model, self.task, self.config)

    def _draw(
        self, scene: Float[Tensor, "1 C H W"], state: Any, decisions: Float[Tensor, "1 L A"]
    ) -> Work[UInt8[np.ndarray, "L H W 3"]]:
        """Pictures of the chosen sequence in the scene of the last frame."""
        yield from go_on()
        world = self.model.world
        model = KeypointModel(world, decisions.shape[-1])
        features = model.imagine(Belief(state.hidden, state.features), decisions).features[0]
        return to_bytes(world.decode(features, world.reference(scene).repeat(len(features))))


def objectives(model: Acting) -> list[Objective]:
    """What the model can be asked to act for."""
    if isinstance(model, ReadyControl):
        return ["value"]
    found: list[Objective] = ["push"] if moves_object(model) else []
    found += ["keypoints"] if moves_keypoints(model) else []
    return [*found, "reward", "goal"] if model.heads else found


def example_action(model: Acting) -> ActionTask:
    """A small step that a model with an objective can work on."""
    objective = objectives(model)[0]
    task, width = None, model.world.decision_dim
    if isinstance(model, ReadyControl):
        task, width = model.control.config.task, model.control.config.actions
    elif model.heads and objective in ("reward", "goal"):
        task, ready = next(iter(model.heads.items()))
        width = ready.head.config.actions
    goal, frame = model.world.config.goal, usual_picture(model)
    if goal is not None:
        frame = with_square(frame, goal.objects[0].segmenter)
    seen = Seen(np.stack([frame, frame]), np.zeros((1, width), np.float32))
    subgoal, render = frame if objective in ("push", "keypoints") else None, objective != "value"
    return ActionTask(model, objective, task, SEARCHES[objective], seen, subgoal, None, 0, render)


def _numbers(values: Tensor) -> np.ndarray:
    return values.float().cpu().numpy()
