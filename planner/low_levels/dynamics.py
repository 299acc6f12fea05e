"""Struct-VRNNs as dynamics to search in: where keypoints or bodies get, and what rewards they bring."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from world_models.interface import Context, Future
from world_models.precision import autocast
from world_models.struct_vrnn.dynamics import Belief
from world_models.struct_vrnn.fast_roll_out import foresee, foresee_rewards, foresee_states
from world_models.struct_vrnn.model import StructVRNN
from world_models.struct_vrnn.rewards.head import RewardHead


class KeypointModel:
    """A Struct-VRNN that knows how many actuators its task has; features are keypoints, then bodies."""

    exact_rows = False
    """Products in bfloat16 round by place and company."""

    def __init__(self, world: StructVRNN, actions: int) -> None:
        self.world, self.decision_dim = world, actions

    @torch.inference_mode()
    def encode(self, context: Context) -> Belief:
        """See the frames."""
        state = self.world.encode(context)
        return Belief(state.hidden, state.features)

    def imagine(self, state: Belief, decisions: Float[Tensor, "B L A"]) -> Future:
        """Features on the way that actions lead to."""
        with autocast(decisions.device):
            weighed = foresee(self.world.dynamics, state, self.world.pad(decisions))
        return Future(self.world.unweigh(weighed), imagined_times(decisions))


def imagined_times(decisions: Float[Tensor, "B L A"]) -> Float[Tensor, "B L"]:
    """When the frames that decisions lead to are reached: 1, 2, ... control steps from the last seen one."""
    return torch.arange(1.0, decisions.shape[1] + 1, device=decisions.device).expand(decisions.shape[:2])


class PlaceModel:
    """A Struct-VRNN that knows bodies; features are the pixels ``[x, y, ...]`` of those named.

    Costs are stated in these, in true dynamics (:meth:`envs.world.World.simulator`) as in learned ones.
    """

    exact_rows = False
    """Products in bfloat16 round by place and company."""

    def __init__(self, world: StructVRNN, bodies: Sequence[str]) -> None:
        """Raises ValueError if the model does not know one of the ``bodies``."""
        known = world.config.bodies
        if unknown := [name for name in bodies if name not in known]:
            raise ValueError(f"the model knows {', '.join(known) or 'no bodies'}, not {', '.join(unknown)}")
        self.world = world
        self.decision_dim = world.decision_dim
        self._keypoints = KeypointModel(world, world.decision_dim)
        self._bodies = [known.index(name) for name in bodies]

    def encode(self, context: Context) -> Belief:
        """See the frames."""
        return self._keypoints.encode(context)

    def imagine(self, state: Belief, decisions: Float[Tensor, "B L A"]) -> Future:
        """Where the bodies get under the actions."""
        future = self._keypoints.imagine(state, decisions)
        return Future(self._places(future.features), future.times)

    def locate(self, frames: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F"]:
        """Where the bodies are in pictures."""
        return self._places(self.world.embed(frames))

    def _places(self, features: Float[Tensor, "*rows F"]) -> Float[Tensor, "*rows P"]:
        return self.world.places(features)[..., self._bodies, :].flatten(-2)


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
