"""Who chooses actions: a search in a learned model, from pictures alone; one in true dynamics; or chance."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from envs.batch_simulator import Simulator
from envs.world import World
from planner.goals import action_cost
from planner.search.rollout import drive
from planner.search.servo import Acting, Servo, ServoConfig, ServoStep
from world_models.interface import Context, Dynamics
from world_models.segmenter import Wanted

Draw = Callable[[int, torch.Generator], Float[Tensor, "1 A"]]
"""(size of an action, randomness) -> an action at random."""


@dataclass(frozen=True)
class Request:
    """What a low level is told, and no more: one with true dynamics has to ask its simulator itself."""

    seen: Context
    """Every picture of the episode so far, and the actions between them."""
    subgoal: Float[Tensor, "1 C H W"]
    """Where to go; any picture where reward is wanted."""
    warm_start: Float[Tensor, "1 L A"] | None
    """That of the previous step, or None after a change of subgoal."""
    generator: torch.Generator
    """Randomness of the search."""
    path: Float[Tensor, "K C H W"] | None = None
    """Where a plan is followed frame by frame: what is to be seen after the coming steps, the goal last."""


class LowLevel(ABC):
    """The next action toward a subgoal picture."""

    can_be_surprised: bool = False
    """Whether it expects something of its actions."""
    true_dynamics: ClassVar[bool] = False
    """Whether it imagines in the true dynamics, not in a learned model."""
    reach: ClassVar[float] = 4.0
    """How near to a subgoal, in the goal's distance, it has to come before the next one is its target. A
    learned model errs by a pixel or two: to come nearer takes it more steps than it is worth."""

    @property
    def imagined_steps(self) -> int:
        """Control steps imagined for one action."""
        return 0

    @abstractmethod
    def acting(self, request: Request) -> Acting:
        """The next action; a learned model's roll-outs are left to whoever drives it, true dynamics are
        not.
        """

    def act(self, request: Request) -> ServoStep:
        """The next action, here and now."""
        with torch.inference_mode():
            return drive(self.acting(request))

    def surprise(self, seen: Context) -> float:
        """Pixels between the last picture and what was expected of the last action."""
        return 0.0


@runtime_checkable
class SeeingDynamics(Dynamics[Any], Protocol):
    """Dynamics that start from what was seen."""

    def encode(self, context: Context) -> Any:
        """Summarise the context into a state."""
        ...


@dataclass(frozen=True)
class LearnedServo(LowLevel):
    """Control from pictures alone: the servo imagines with a learned model (KeyIn, Algorithm 4).

    Nothing enters but the pictures so far and the robot's own past actions.
    """

    model: SeeingDynamics
    """What encodes pictures and imagines; the servo's own."""
    servo: Servo
    memory: int
    """The most frames that are looked at, the last ones: what training has prepared the model for."""

    @property
    def imagined_steps(self) -> int:
        """Steps of the model."""
        return self.servo.imagined_steps

    def acting(self, request: Request) -> Acting:
        """The next action after a search from the last frames."""
        state = self.look(request.seen)
        generators = [request.generator]
        return self.servo.acting(state, request.subgoal, request.warm_start, generators, request.path)

    @torch.inference_mode()
    def look(self, seen: Context) -> Any:
        """The state after the last ``memory`` frames."""
        first = max(0, seen.frames.shape[1] - self.memory)
        return self.model.encode(Context(seen.frames[:, first:], seen.actions[:, first:]))


class TrueServo(LowLevel):
    """The same search in the true dynamics, starting from the true state."""

    true_dynamics = True
    reach = 2.0
    """At 4, an object may count as round a wall's end while it is still before it."""

    def __init__(self, simulator: Simulator[Any], servo: Servo, goal: Wanted | None = None) -> None:
        """``simulator`` is that of the environment that is being controlled, and the servo's model; ``goal``
        is what its features are about.
        """
        self.servo, self._simulator, self._goal = servo, simulator, goal
        self.can_be_surprised = goal is not None
        self._last: tuple[Any, Float[Tensor, "1 A"]] | None = None

    @property
    def imagined_steps(self) -> int:
        """Steps of the true dynamics."""
        return self.servo.imagined_steps

    def acting(self, request: Request) -> Acting:
        """The next action after a search."""
        yield from ()  # Physics runs where its simulator is: there is nothing to leave to others.
        state = self._simulator.observe()
        generators = [request.generator]
        step = self.servo.act(state, request.subgoal, request.warm_start, generators, request.path)
        self._last = state, step.action
        return step

    @torch.inference_mode()
    def surprise(self, seen: Context) -> float:
        """The largest distance, in pixels, of an object in the last picture from where the last action should
        have brought it; 0 where all are hidden.
        """
        if self._last is None or self._goal is None:
            return 0.0
        state, action = self._last
        expected = self._simulator.imagine(state, action[:, None]).features[0, 0].unflatten(-1, (-1, 2))
        centres = [one.segmenter.blob(seen.frames[:, -1]).centre for one in self._goal.objects]
        found = torch.cat(centres)  # the effector, the last of those expected, is not looked for
        return float((found - expected[: len(found)].to(found)).norm(dim=-1).nan_to_num(0.0).max())


class RandomActions(LowLevel):
    """An action at random every step."""

    def __init__(self, size: int, draw: Draw) -> None:
        self._size, self._draw = size, draw

    def acting(self, request: Request) -> Acting:
        """A random action."""
        yield from ()
        action = self._draw(self._size, request.generator)
        return ServoStep(action, action[:, None], torch.full((1,), torch.nan), action[:, None])


def clipped_normal(size: int, generator: torch.Generator) -> Float[Tensor, "1 A"]:
    """Standard normal, clipped to [-1, 1]: what the servo's search draws before any refit."""
    return torch.randn(1, size, generator=generator).clamp(-1.0, 1.0)


def uniform(size: int, generator: torch.Generator) -> Float[Tensor, "1 A"]:
    """Uniform in [-1, 1]."""
    return 2 * torch.rand(1, size, generator=generator) - 1


def true_servo(world: World[Any], config: ServoConfig | None = None, threads: int = 1) -> TrueServo:
    """A search in the world's own physics for what is wanted there (KeyIn, section 10).

    Raises:
        ValueError: its true dynamics are not known.
    """
    config = config or ServoConfig()
    simulator = world.simulator(config.cem.candidates, threads)
    if simulator is None:
        raise ValueError(f"{world.id} has no true dynamics to search in; choose another low level")
    return TrueServo(simulator, Servo(simulator, action_cost(world.goal), config), world.goal)
