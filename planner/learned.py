"""Control from pictures alone: the servo imagines with a learned model (KeyIn, Algorithm 4).

Nothing enters but the pictures so far and the robot's own past actions.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from planner.search.rollout import drive
from planner.search.servo import Acting, Servo, ServoStep
from world_models.interface import Context, Dynamics, Future
from world_models.precision import autocast
from world_models.struct_vrnn.dynamics import Belief
from world_models.struct_vrnn.fast_roll_out import foresee
from world_models.struct_vrnn.model import StructVRNN


class SeeingDynamics(Dynamics[Any], Protocol):
    """Dynamics that start from what was seen."""

    def encode(self, context: Context) -> Any:
        """Summarise the context into a state."""
        ...


@dataclass(frozen=True)
class LearnedController:
    """The low level on a learned model.

    Attributes:
        model: what encodes pictures and imagines; the servo's own.
        servo: searches the model's action sequences.
        memory: the most frames that are looked at, the last ones: what training has prepared the model for.
    """

    model: SeeingDynamics
    servo: Servo
    memory: int

    @torch.inference_mode()
    def act(
        self,
        seen: Context,
        subgoal: Float[Tensor, "1 C H W"],
        warm_start: Float[Tensor, "1 L A"] | None,
        generator: torch.Generator,
    ) -> ServoStep:
        """The next action after a search from the last frames."""
        return drive(self.acting(seen, subgoal, warm_start, generator))

    def acting(
        self,
        seen: Context,
        subgoal: Float[Tensor, "1 C H W"],
        warm_start: Float[Tensor, "1 L A"] | None,
        generator: torch.Generator,
    ) -> Acting:
        """:meth:`act` for somebody who computes the roll-outs of many searches."""
        return self.servo.acting(self.look(seen), subgoal, warm_start, [generator])

    @torch.inference_mode()
    def look(self, seen: Context) -> Any:
        """The state after the last ``memory`` frames."""
        first = max(0, seen.frames.shape[1] - self.memory)
        return self.model.encode(Context(seen.frames[:, first:], seen.actions[:, first:]))


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
    """A Struct-VRNN that knows bodies; features are their pixels ``[x, y, ...]``.

    The costs of the pushing task are stated in these, in true dynamics
    (:class:`envs.push.simulator.PushSimulator`) as in learned ones.
    """

    exact_rows = False
    """Products in bfloat16 round by place and company."""

    def __init__(self, world: StructVRNN) -> None:
        self.world = world
        self.decision_dim = world.decision_dim
        self._keypoints = KeypointModel(world, world.decision_dim)

    def encode(self, context: Context) -> Belief:
        """See the frames."""
        return self._keypoints.encode(context)

    def imagine(self, state: Belief, decisions: Float[Tensor, "B L A"]) -> Future:
        """Where the bodies get under the actions."""
        future = self._keypoints.imagine(state, decisions)
        return Future(self.world.places(future.features).flatten(-2), future.times)

    def locate(self, frames: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F"]:
        """Where the bodies are in pictures."""
        return self.world.places(self.world.embed(frames)).flatten(-2)


@dataclass(frozen=True)
class PlaceController(LearnedController):
    """A learned low level that can say how far bodies are from where it expected them."""

    model: PlaceModel

    @torch.inference_mode()
    def surprise(self, seen: Context) -> float:
        """The largest distance, in pixels, of a body in the last picture from where the last action should
        have brought it.
        """
        before = Context(seen.frames[:, :-1], seen.actions[:, :-1])
        expected = self.model.imagine(self.look(before), seen.actions[:, -1:]).features[:, 0]
        offsets = (expected - self.model.locate(seen.frames[:, -1])).unflatten(-1, (-1, 2))
        return float(offsets.square().sum(-1).sqrt().max())
