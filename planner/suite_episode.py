"""One closed-loop episode of a DM Control task, and the controllers that see no picture."""

import time
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from dm_control.rl.control import PhysicsError
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from envs.dmc.env import DmcEnv
from envs.dmc.episodes import DmcStart
from envs.dmc.simulator import DmcSimulator
from planner.control import Controller, searching
from planner.search.costs import Return
from planner.search.rollout import Interrupted, Interruption, RollOut, drive
from planner.search.servo import Servo, ServoConfig, ServoStep
from world_models.frames import to_tensor
from world_models.interface import Context

Picture = NDArray[np.uint8]


@dataclass
class SuiteOutcome:
    """What happened: reward, action and seconds of the decision of every step; the start and every picture.

    An episode whose simulation diverges ends there and earns no more. ``interrupted`` says why somebody ended
    it before its time.
    """

    rewards: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    frames: list[Picture] = field(default_factory=list)
    actions: list[NDArray[np.float32]] = field(default_factory=list)
    interrupted: Interruption | None = None

    @property
    def best_frame(self) -> Picture:
        """The picture of the highest reward, the last of them if it was paid more than once; of the start if
        the first step diverged.
        """
        _, step = max(((reward, step) for step, reward in enumerate(self.rewards, 1)), default=(0.0, 0))
        return self.frames[step]


@dataclass(frozen=True)
class SuiteMoment:
    """A running episode after ``step`` steps: the last action, and the reward on arriving at the picture.

    At the start there is neither.
    """

    step: int
    picture: Picture
    action: NDArray[np.float32] | None
    reward: float | None


SuiteEpisode = Generator[RollOut | SuiteMoment | None, Any, SuiteOutcome]
"""To be answered like :data:`planner.episode.Episode`."""


class SuiteSimulatorController:
    """Searches for return in the true dynamics, starting from the true state; the subgoal says nothing."""

    def __init__(self, env: DmcEnv, config: ServoConfig) -> None:
        self._env = env
        self._servo = Servo(DmcSimulator(env, pool=config.cem.candidates), Return(), config)

    def act(
        self,
        seen: Context,
        subgoal: Float[Tensor, "1 C H W"],
        warm_start: Float[Tensor, "1 L A"] | None,
        generator: torch.Generator,
    ) -> ServoStep:
        """The next action after a search."""
        return self._servo.act(DmcSimulator.observe(self._env), subgoal, warm_start, [generator])


class UniformController:
    """Uniform actions in [-1, 1], a new one every step."""

    def __init__(self, actions: int) -> None:
        self._actions = actions

    def act(
        self,
        seen: Context,
        subgoal: Float[Tensor, "1 C H W"],
        warm_start: Float[Tensor, "1 L A"] | None,
        generator: torch.Generator,
    ) -> ServoStep:
        """A random action."""
        action = 2 * torch.rand(1, self._actions, generator=generator) - 1
        return ServoStep(action, action[:, None], torch.full((1,), torch.nan), action[:, None])


def run_suite_episode(
    env: DmcEnv,
    start: DmcStart,
    controller: Controller,
    goal: Picture | None,
    steps: int,
    generator: torch.Generator,
    device: str = "cpu",
) -> SuiteOutcome:
    """Run ``steps`` steps of the environment from ``start``.

    The controller is given pictures and goal on ``device``; without a goal a black picture.

    Raises:
        ValueError: the start is not the one that was frozen.
    """
    start.begin(env)
    return drive(suite_episode(env, controller, goal, steps, generator, device))


def suite_episode(
    env: DmcEnv,
    controller: Controller,
    goal: Picture | None,
    steps: int,
    generator: torch.Generator,
    device: str = "cpu",
) -> SuiteEpisode:
    """The same from where the environment is, for somebody who watches and computes roll-outs."""
    outcome = SuiteOutcome(frames=[env.render()])
    size = env.image_size
    subgoal = torch.zeros(1, 3, size, size) if goal is None else to_tensor(goal)[None]
    subgoal = subgoal.to(device)
    frames = torch.zeros(1, steps + 1, 3, size, size, device=device)
    actions = torch.zeros(1, steps, env.action_size, device=device)
    warm_start: Tensor | None = None
    yield SuiteMoment(0, outcome.frames[0], None, None)
    for now in range(steps):
        frames[0, now] = to_tensor(outcome.frames[-1])
        begun = time.perf_counter()
        seen = Context(frames[:, : now + 1], actions[:, :now])
        try:
            step = yield from searching(controller, seen, subgoal, warm_start, generator)
        except Interrupted as interrupted:
            outcome.interrupted = interrupted.reason
            break
        action = step.action[0].cpu()
        outcome.seconds.append(time.perf_counter() - begun)
        try:
            reward, _ = env.advance(action.double().numpy())
        except PhysicsError:
            break
        actions[0, now], warm_start = action, step.warm_start
        outcome.rewards.append(reward)
        outcome.actions.append(action.numpy())
        outcome.frames.append(env.render())
        yield SuiteMoment(now + 1, outcome.frames[-1], outcome.actions[-1], reward)
        if now + 1 < steps and (reason := (yield None)) is not None:
            outcome.interrupted = reason
            break
    return outcome
