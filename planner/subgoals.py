"""Planners by name, all with the same low level: where the subgoals come from is the only difference."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from envs.push.env import PushEnv
from envs.push.episodes import find_demonstration
from envs.push.scene import Scene
from envs.push.simulator import PushSimulator
from planner.episode import Subgoals
from planner.search.hierarchy import Planner, Plausible
from planner.search.servo import Servo, ServoStep
from world_models.frames import to_tensor
from world_models.interface import Context
from world_models.keyin.model import KeyIn
from world_models.tap.model import Tap

PLANNERS = {
    "keyin": "subgoals from a search over KeyIn's latents",
    "jumpy": "the same with keyframes a constant time apart",
    "surprise": "the same with keyframes where a sequential model is surprised",
    "tap": "bottlenecks between start and goal, predicted whenever they come",
    "flat": "no subgoals: straight to the goal",
    "flat-deep": "no subgoals, and four times the search: twice the horizon, twice the candidates",
    "random": "random actions",
    "oracle": "the true keyframes of a demonstration of the same task",
}


TAP_DRAWS = 20
"""Plans among which TAP looks for a plausible one: as many as the shortlist of the other planners."""


def keyin_subgoals(planner: Planner) -> Subgoals:
    """The keyframes of the best plan, the last one left out: the goal picture stands in its place."""

    def subgoals(
        now: Float[Tensor, "1 C H W"], goal: Float[Tensor, "1 C H W"], generator: torch.Generator
    ) -> Float[Tensor, "K C H W"]:
        context = Context(now[:, None], now.new_zeros(1, 0, 2))
        return planner.plan(context, goal, [generator]).subgoals[0, :-1]

    return subgoals


def tap_subgoals(tap: Tap, pictures: KeyIn, count: int, plausible: Plausible) -> Subgoals:
    """``count`` bottlenecks by recursion: the first plan drawn with the most plausible pictures.

    ``pictures`` is the model whose autoencoder TAP was trained with. TAP is told the goal instead of
    searching for it, so there is no cost to choose by.
    """

    @torch.inference_mode()
    def subgoals(
        now: Float[Tensor, "1 C H W"], goal: Float[Tensor, "1 C H W"], generator: torch.Generator
    ) -> Float[Tensor, "K C H W"]:
        noise = torch.randn(TAP_DRAWS, count, tap.config.latent, generator=generator)
        ends = [pictures.embed(picture).expand(TAP_DRAWS, -1) for picture in (now, goal)]
        best, most = goal[:0], -1
        for features in tap.subgoals(ends[0], ends[1], noise):
            frames = pictures.decode(features)
            whole = int(plausible(frames).sum())
            if whole > most:
                best, most = frames, whole
            if most == count:
                break
        return best

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

    def __init__(self, servo: Servo, env: PushEnv) -> None:
        """``env`` is the environment that is being controlled."""
        self._servo, self._env = servo, env

    def act(
        self,
        seen: Context,
        subgoal: Float[Tensor, "1 C H W"],
        warm_start: Float[Tensor, "1 L A"] | None,
        generator: torch.Generator,
    ) -> ServoStep:
        """The next action after a search."""
        return self._servo.act(PushSimulator.observe(self._env), subgoal, warm_start, [generator])


class RandomController:
    """Standard normal actions clipped to [-1, 1]: what the servo's search draws before any refit."""

    def act(
        self,
        seen: Context,
        subgoal: Float[Tensor, "1 C H W"],
        warm_start: Float[Tensor, "1 L A"] | None,
        generator: torch.Generator,
    ) -> ServoStep:
        """A random action."""
        action = torch.randn(1, 2, generator=generator).clamp(-1.0, 1.0)
        return ServoStep(action, action[:, None], torch.full((1,), torch.nan), action[:, None])
