"""Planners by name, all with the same low level: where the subgoals come from is the only difference."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from envs.episodes import find_demonstration
from envs.push import PushEnv
from envs.push_scene import Scene
from envs.simulator import PushSimulator
from planner.episode import Subgoals
from planner.hierarchy import Planner
from planner.servo import Servo, ServoStep
from world_models.frames import to_tensor
from world_models.interface import Context

PLANNERS = {
    "keyin": "subgoals from a search over KeyIn's latents",
    "flat": "no subgoals: straight to the goal",
    "random": "random actions",
    "oracle": "the true keyframes of a demonstration of the same task",
}


def keyin_subgoals(planner: Planner) -> Subgoals:
    """The keyframes of the best plan, the last one left out: the goal picture stands in its place."""

    def subgoals(
        now: Float[Tensor, "1 C H W"], goal: Float[Tensor, "1 C H W"], generator: torch.Generator
    ) -> Float[Tensor, "K C H W"]:
        context = Context(now[:, None], now.new_zeros(1, 0, 2))
        return planner.plan(context, goal, [generator]).subgoals[0, :-1]

    return subgoals


def no_subgoals(
    now: Float[Tensor, "1 C H W"], goal: Float[Tensor, "1 C H W"], generator: torch.Generator
) -> Float[Tensor, "0 C H W"]:
    """None at all: the servo heads for the goal picture from the start."""
    return goal[:0]


def oracle_subgoals(env: PushEnv, scene: Scene) -> Subgoals:
    """Pictures of the true keyframes of a demonstration of ``scene`` but the last, which is the goal.

    A task the demonstrator never solves has none.
    """
    demonstration = find_demonstration(env, scene)
    pictures = []
    if demonstration is not None:
        env.start(scene)
        for frame in np.flatnonzero(demonstration.keyframes)[:-1]:
            env.set_state(demonstration.states[frame])
            pictures.append(env.render())

    def subgoals(
        now: Float[Tensor, "1 C H W"], goal: Float[Tensor, "1 C H W"], generator: torch.Generator
    ) -> Float[Tensor, "K C H W"]:
        return to_tensor(np.stack(pictures)) if pictures else goal[:0]

    return subgoals


class SimulatorController:
    """The paper's low level: searches actions in the true dynamics, starting from the true state."""

    def __init__(self, servo: Servo) -> None:
        self._servo = servo

    def act(
        self,
        env: PushEnv,
        subgoal: Float[Tensor, "1 C H W"],
        warm_start: Float[Tensor, "1 L A"] | None,
        generator: torch.Generator,
    ) -> ServoStep:
        """The next action after a search."""
        return self._servo.act(PushSimulator.observe(env), subgoal, warm_start, [generator])


class RandomController:
    """Standard normal actions clipped to [-1, 1]: what the servo's search draws before any refit."""

    def act(
        self,
        env: PushEnv,
        subgoal: Float[Tensor, "1 C H W"],
        warm_start: Float[Tensor, "1 L A"] | None,
        generator: torch.Generator,
    ) -> ServoStep:
        """A random action."""
        action = torch.randn(1, 2, generator=generator).clamp(-1.0, 1.0)
        return ServoStep(action, action[:, None], torch.full((1,), torch.nan))
