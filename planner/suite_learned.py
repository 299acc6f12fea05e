"""Control of the DM Control tasks from pictures: a Struct-VRNN imagines rewards or keypoints of one task."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from envs.dmc.tasks import find_task
from planner.learned import KeypointModel, LearnedController, imagined_times
from planner.loaded import ReadyHead, ReadyWorldModel
from planner.loading import load_world_model
from planner.search.cem import CemConfig
from planner.search.costs import KeypointDistance, Return
from planner.search.servo import Servo, ServoConfig
from world_models.interface import Context, Future
from world_models.precision import autocast
from world_models.struct_vrnn.dynamics import Belief
from world_models.struct_vrnn.fast_roll_out import foresee_rewards, foresee_states
from world_models.struct_vrnn.model import StructVRNN
from world_models.struct_vrnn.rewards.head import RewardHead

MEMORY = 8
"""Frames that are looked at, the last ones: as many as reward heads see in training."""
SUITE_SERVO = ServoConfig(
    horizon=12,
    cem=CemConfig(
        candidates=24, iterations=2, elite_fraction=0.15, bound=1.0, noise_exponent=2.0, kept_fraction=0.3
    ),
)
"""The search that the DM Control tasks start from."""
HORIZONS = {"acrobot-swingup": 30, "cartpole-balance": 30}
"""Steps that tasks look ahead where the near future is not enough: a balanced pole drifts off the rail."""


@dataclass(frozen=True)
class RewardState:
    """What is known after the seen frames: belief of the dynamics, and memory of the reward head."""

    hidden: Float[Tensor, "B H"]
    features: Float[Tensor, "B F"]
    memory: Float[Tensor, "B 2 W"]


class RewardModel:
    """A Struct-VRNN and a reward head as one model. Decisions are the task's actions, features ``[reward]``:
    what is predicted to be received on arriving at each step.
    """

    exact_rows = False
    """Products in bfloat16 round by place and company."""

    def __init__(self, world: StructVRNN, head: RewardHead) -> None:
        self.world, self.head = world, head
        self.decision_dim = head.config.actions

    @torch.inference_mode()
    def encode(self, context: Context) -> RewardState:
        """See the frames, and let the head read what is made of them."""
        state = self.world.encode(context)
        _, memory = self.head(state.carried)
        return RewardState(state.hidden, state.features, memory)

    def imagine(self, state: RewardState, decisions: Float[Tensor, "B L A"]) -> Future:
        """Rewards on the way that actions lead to."""
        belief = Belief(state.hidden, state.features)
        with autocast(decisions.device):
            path = foresee_states(self.world.dynamics, belief, self.world.pad(decisions))
            rewards = foresee_rewards(self.head, path.carried, state.memory)
        return Future(rewards[..., None], imagined_times(decisions))


def horizon_of(task: str) -> int:
    """Steps that a task looks ahead unless told otherwise."""
    return HORIZONS.get(task, SUITE_SERVO.horizon)


def model_for(pattern: str, task: str) -> str:
    """The name of a task's model: ``{domain}`` in the pattern stands for the task's domain."""
    return pattern.replace("{domain}", find_task(task).domain)


def reward_controller(
    model: str, task: str, config: ServoConfig = SUITE_SERVO, device: str = "cpu"
) -> LearnedController:
    """:func:`control_by_reward` with a shipped model or the model folder of that path.

    Raises:
        ValueError: there is no such model, or it has no reward head for the task.
        CheckpointError: its files are damaged.
    """
    return control_by_reward(load_world_model(model, device), task, config)


def goal_controller(
    model: str, task: str, config: ServoConfig = SUITE_SERVO, device: str = "cpu"
) -> LearnedController:
    """:func:`control_by_goal` with a shipped model or the model folder of that path. Raises likewise."""
    return control_by_goal(load_world_model(model, device), task, config)


def control_by_reward(
    ready: ReadyWorldModel, task: str, config: ServoConfig = SUITE_SERVO
) -> LearnedController:
    """The search for predicted reward; pictures and actions in, the next action out.

    The subgoal it is given says nothing and may be any picture.

    Raises:
        ValueError: the model has no reward head for the task.
    """
    dynamics = RewardModel(ready.world, find_head(ready, task).head)
    return LearnedController(dynamics, Servo(dynamics, Return(), config), MEMORY)


def control_by_goal(
    ready: ReadyWorldModel, task: str, config: ServoConfig = SUITE_SERVO
) -> LearnedController:
    """The search for what the subgoal's picture shows.

    Raises:
        ValueError: the model has no reward head for the task, which knows its actuators.
    """
    dynamics = KeypointModel(ready.world, find_head(ready, task).head.config.actions)
    return LearnedController(dynamics, Servo(dynamics, KeypointDistance(ready.world.embed), config), MEMORY)


def find_head(ready: ReadyWorldModel, task: str) -> ReadyHead:
    """The model's reward head for a task.

    Raises:
        ValueError: it has none; the message names those it has.
    """
    if task not in ready.heads:
        known = ", ".join(ready.heads) or "none"
        raise ValueError(f"{ready.name} has no reward head for {task!r}; it has some for {known}")
    return ready.heads[task]
