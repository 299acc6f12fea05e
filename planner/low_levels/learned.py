"""Low levels on loaded Struct-VRNNs: for an object's place, for predicted reward, with or without what
it is worth afterwards, for what a picture shows.
"""

from dataclasses import dataclass

import torch

from envs.dmc.tasks import find_task
from planner.goals import KeypointsCost, action_cost, keypoint_goal
from planner.loaded import Acting, ReadyControl, ReadyHead, ReadyWorldModel
from planner.low_levels.dynamics import ControlModel, KeypointModel, PlaceModel, RewardModel
from planner.low_levels.low_level import LearnedServo
from planner.search.cem import CemConfig
from planner.search.costs import KeypointDistance, Return, WithValue
from planner.search.rollout import Proposals
from planner.search.servo import Servo, ServoConfig
from world_models.interface import Context
from world_models.struct_vrnn.control.model import Control
from world_models.struct_vrnn.model import StructVRNN

PLACE_MEMORY = 4
"""Frames that are looked at for places, the last ones: as many as models of bodies see in training."""
REWARD_MEMORY = 8
"""The same for reward: as many as reward heads see in training."""
DMC_SERVO = ServoConfig(
    horizon=12,
    cem=CemConfig(
        candidates=24, iterations=2, elite_fraction=0.15, bound=1.0, noise_exponent=2.0, kept_fraction=0.3
    ),
)
"""The search that the DM Control tasks start from."""
VALUE_HORIZON = 3
"""Steps that are looked ahead where a value tells of the rest."""
VALUE_SERVO = DMC_SERVO.model_copy(update={"horizon": VALUE_HORIZON})
"""The same search where there is a value."""
PROPOSED = 3
"""One of so many candidates is the policy's."""
POLICY_NOISE = 0.1
"""Standard deviation of the noise in these, but for the first: as at the end of training."""
HORIZONS = {"acrobot-swingup": 30, "cartpole-balance": 30}
"""Steps that tasks look ahead where the near future is not enough: a balanced pole drifts off the rail."""


@dataclass(frozen=True)
class PlaceServo(LearnedServo):
    """A learned low level that can say how far bodies are from where it expected them."""

    model: PlaceModel
    can_be_surprised: bool = True

    @torch.inference_mode()
    def surprise(self, seen: Context) -> float:
        """The largest distance, in pixels, of a body in the last picture from where the last action should
        have brought it.
        """
        before = Context(seen.frames[:, :-1], seen.actions[:, :-1])
        expected = self.model.imagine(self.look(before), seen.actions[:, -1:]).features[:, 0]
        offsets = (expected - self.model.locate(seen.frames[:, -1])).unflatten(-1, (-1, 2))
        return float(offsets.square().sum(-1).sqrt().max())


def moves_object(ready: ReadyWorldModel) -> bool:
    """Whether a world model can be asked to bring an object to its place in a goal picture."""
    return ready.world.config.goal is not None


def moves_keypoints(ready: ReadyWorldModel) -> bool:
    """Whether a world model can be asked for what a picture shows, by a goal that is stored with it."""
    return ready.goal is not None and ready.world.decision_dim > 0


def control_by_place(ready: ReadyWorldModel, config: ServoConfig | None = None) -> PlaceServo:
    """The search that brings the model's object to where the subgoal shows it.

    Raises:
        ValueError: the model's configuration names no object to move.
    """
    goal = ready.world.config.goal
    if goal is None:
        raise ValueError(f"{ready.name} knows no object to move; a model that does has a goal in its config")
    model = PlaceModel(ready.world, (*(one.body for one in goal.objects), goal.effector))
    return PlaceServo(model, Servo(model, action_cost(goal), config or ServoConfig()), PLACE_MEMORY)


def horizon_of(task: str) -> int:
    """Steps that a task looks ahead unless told otherwise."""
    return HORIZONS.get(task, DMC_SERVO.horizon)


def model_for(pattern: str, task: str) -> str:
    """The name of a task's model: ``{domain}`` in the pattern stands for the task's domain."""
    return pattern.replace("{domain}", find_task(task).domain)


def control_by_reward(ready: ReadyWorldModel, task: str, config: ServoConfig = DMC_SERVO) -> LearnedServo:
    """The search for predicted reward; pictures and actions in, the next action out.

    The subgoal it is given says nothing and may be any picture.

    Raises:
        ValueError: the model has no reward head for the task.
    """
    dynamics = RewardModel(ready.world, find_head(ready, task).head)
    return LearnedServo(dynamics, Servo(dynamics, Return(), config), REWARD_MEMORY)


def control_by_value(
    world: StructVRNN, control: Control, config: ServoConfig = VALUE_SERVO, noise: float = POLICY_NOISE
) -> LearnedServo:
    """The search for predicted reward, discounted, and for what is worth most at the end of the horizon, that
    begins with what the policy would do, with ``noise``; pictures and actions in, the next action out.

    The subgoal it is given says nothing and may be any picture.
    """
    model, discount = ControlModel(world, control), control.config.discount
    cost = WithValue(Return(discount), model.value, discount)
    proposals = Proposals(model, max(1, config.cem.candidates // PROPOSED), noise)
    return LearnedServo(model, Servo(model, cost, config, proposals), control.config.frames)


def control_for_reward(ready: Acting, task: str, config: ServoConfig | None = None) -> LearnedServo:
    """The search for reward with a model of either kind, as it is done unless told otherwise.

    Raises:
        ValueError: the model has no reward head for the task.
    """
    if isinstance(ready, ReadyControl):
        return control_by_value(ready.world, ready.control, config or VALUE_SERVO)
    usual = DMC_SERVO.model_copy(update={"horizon": horizon_of(task)})
    return control_by_reward(ready, task, config or usual)


def control_by_goal(ready: ReadyWorldModel, task: str, config: ServoConfig = DMC_SERVO) -> LearnedServo:
    """The search for what the subgoal's picture shows.

    Raises:
        ValueError: the model has no reward head for the task, which knows its actuators.
    """
    dynamics = KeypointModel(ready.world, find_head(ready, task).head.config.actions)
    return LearnedServo(dynamics, Servo(dynamics, KeypointDistance(ready.world.embed), config), REWARD_MEMORY)


def control_by_keypoints(ready: ReadyWorldModel, actions: int, config: ServoConfig) -> LearnedServo:
    """The search for what the subgoal's picture shows, as the model's goal weighs it.

    Raises:
        ValueError: the model has no goal, or takes another number of actions.
    """
    if ready.goal is None:
        raise ValueError(
            f"{ready.name} has no goal; python -m world_models.train struct-vrnn makes models with one"
        )
    if ready.world.decision_dim != actions:
        raise ValueError(
            f"{ready.name} takes actions of {ready.world.decision_dim} numbers, not of {actions}"
        )
    dynamics = KeypointModel(ready.world, actions)
    cost = KeypointsCost(keypoint_goal(ready.goal, ready.world))
    return LearnedServo(dynamics, Servo(dynamics, cost, config), PLACE_MEMORY)


def find_head(ready: ReadyWorldModel, task: str) -> ReadyHead:
    """The model's reward head for a task.

    Raises:
        ValueError: it has none; the message names those it has.
    """
    if task not in ready.heads:
        known = ", ".join(ready.heads) or "none"
        raise ValueError(f"{ready.name} has no reward head for {task!r}; it has some for {known}")
    return ready.heads[task]
