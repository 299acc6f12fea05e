"""Struct-VRNNs as dynamics to search in: where keypoints or bodies get, and what rewards they bring.

The dynamics of a control model are its own; a Struct-VRNN is its eye.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from world_models.interface import Context, Future
from world_models.precision import autocast, is_reduced
from world_models.struct_vrnn.control.detector.features import detect, measure, stack
from world_models.struct_vrnn.control.model import Control
from world_models.struct_vrnn.dynamics import Belief
from world_models.struct_vrnn.fast_roll_out import foresee, foresee_rewards, foresee_states
from world_models.struct_vrnn.model import StructVRNN
from world_models.struct_vrnn.rewards.head import RewardHead


def has_exact_rows(world: StructVRNN) -> bool:
    """Whether rows may be tried in company. Products in bfloat16 round by place and company in about one of a
    hundred batches, which a few trials do not find.
    """
    return not is_reduced(next(world.parameters()).device)


@dataclass(frozen=True)
class KeypointModel:
    """A Struct-VRNN that knows how many actuators its task has; features are keypoints, then bodies."""

    world: StructVRNN
    decision_dim: int

    @property
    def exact_rows(self) -> bool:
        """See :func:`has_exact_rows`."""
        return has_exact_rows(self.world)

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


@dataclass(frozen=True)
class PlaceModel:
    """A Struct-VRNN that knows bodies; features are the pixels ``[x, y, ...]`` of those named.

    Costs are stated in these, in true dynamics (:meth:`envs.world.World.simulator`) as in learned ones.
    """

    world: StructVRNN
    bodies: tuple[str, ...]

    def __post_init__(self) -> None:
        """Raises ValueError if the model does not know one of the bodies."""
        known = self.world.config.bodies
        if unknown := [name for name in self.bodies if name not in known]:
            raise ValueError(f"the model knows {', '.join(known) or 'no bodies'}, not {', '.join(unknown)}")

    @property
    def decision_dim(self) -> int:
        """Numbers per action."""
        return self.world.decision_dim

    @property
    def exact_rows(self) -> bool:
        """See :func:`has_exact_rows`."""
        return has_exact_rows(self.world)

    @property
    def _keypoints(self) -> KeypointModel:
        return KeypointModel(self.world, self.decision_dim)

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
        known = self.world.config.bodies
        return self.world.places(features)[..., [known.index(name) for name in self.bodies], :].flatten(-2)


@dataclass(frozen=True)
class RewardState:
    """What is known after the seen frames: belief of the dynamics, and memory of the reward head."""

    hidden: Float[Tensor, "B H"]
    features: Float[Tensor, "B F"]
    memory: Float[Tensor, "B 2 W"]


@dataclass(frozen=True)
class RewardModel:
    """A Struct-VRNN and a reward head as one model. Decisions are the task's actions, features ``[reward]``:
    what is predicted to be received on arriving at each step.
    """

    world: StructVRNN
    head: RewardHead

    @property
    def decision_dim(self) -> int:
        """Actuators of the task."""
        return self.head.config.actions

    @property
    def exact_rows(self) -> bool:
        """See :func:`has_exact_rows`."""
        return has_exact_rows(self.world)

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


@dataclass(frozen=True)
class ControlState:
    """What a control model makes of the seen frames."""

    latent: Float[Tensor, "B Z"]


@dataclass(frozen=True)
class ControlModel:
    """A control model and the Struct-VRNN that it reads. Decisions are the task's actions, features
    ``[reward, latent]``: what is predicted for an action, and where it leads.

    It also has a value (:class:`~planner.search.costs.WithValue`) and suggestions
    (:class:`~planner.search.rollout.Proposer`).
    """

    world: StructVRNN
    control: Control

    @property
    def decision_dim(self) -> int:
        """Actuators of the task."""
        return self.control.config.actions

    @property
    def exact_rows(self) -> bool:
        """Whether rows may be tried in company: its products are small and made in full precision on CPUs."""
        return self.control.bins.device.type == "cpu"

    @torch.inference_mode()
    def encode(self, context: Context) -> ControlState:
        """See the last frames; what is missing before the first is taken to have stood still."""
        config, batch = self.control.config, len(context.frames)
        frames = context.frames[:, -config.frames :]
        done = context.actions[:, context.actions.shape[1] + 1 - frames.shape[1] :]
        features = detect(self.world, frames.flatten(0, 1)).unflatten(0, (batch, -1))
        read = stack(measure(self.world, features, config.reads), done, config.frames)
        return ControlState(self.control.encode(read[:, -1]))

    def imagine(self, state: ControlState, decisions: Float[Tensor, "B L A"]) -> Future:
        """Rewards on the way that actions lead to, and the latents on it."""
        rewards, latents = self.control.roll_out(state.latent, decisions)
        return Future(torch.cat([rewards[..., None], latents], -1), imagined_times(decisions))

    def value(self, features: Float[Tensor, "B F"]) -> Float[Tensor, " B"]:
        """Discounted rewards to come after a step with these features."""
        return self.control.value(features[:, 1:])

    def propose(self, state: ControlState, noise: Float[Tensor, "B L A"]) -> Float[Tensor, "B L A"]:
        """What the policy would do."""
        return self.control.propose(state.latent, noise)
