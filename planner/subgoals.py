"""Planners by name, all with the same low level: where the subgoals come from is the only difference."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from envs.world import Start, World
from planner.search.hierarchy import Planner, Plausible
from world_models.frames import to_tensor
from world_models.interface import Context
from world_models.keyin.model import KeyIn
from world_models.tap.model import Tap

Subgoals = Callable[
    [Float[Tensor, "1 C H W"], Float[Tensor, "1 C H W"], torch.Generator], Float[Tensor, "K C H W"]
]
"""(picture of now, picture of the goal, randomness) -> subgoals on the way; the goal is not among them."""

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
        context = Context(now[:, None], now.new_zeros(1, 0, 0))
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


def oracle_subgoals(world: World[Any], start: Start) -> Subgoals:
    """Pictures of the true keyframes of a demonstration from ``start`` but the last, which is the goal.

    A task that is never solved by the demonstrator has none.
    """
    pictures = world.demonstrate(start)[:-1]

    def subgoals(
        now: Float[Tensor, "1 C H W"], goal: Float[Tensor, "1 C H W"], generator: torch.Generator
    ) -> Float[Tensor, "K C H W"]:
        return to_tensor(np.stack(pictures), goal.device) if pictures else goal[:0]

    return subgoals
