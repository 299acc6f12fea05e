"""Planners by name, all with the same low level: where the subgoals come from is the only difference."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from envs.world import Start, World
from planner.goals import EmbeddingCost, make_goal
from planner.search.choosing import Plausible
from planner.search.hierarchy import Count, Planner
from planner.search.plan import Plan
from world_models.frames import Picture, to_tensor
from world_models.interface import Context, Future
from world_models.keyin.discovery.chords import chord_distances, fill_gaps
from world_models.keyin.discovery.segmentation import follow, onward_offsets
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
    "random-times": "the same with keyframes at random times",
    "tap": "bottlenecks between start and goal, predicted whenever they come",
    "flat": "no subgoals: straight to the goal",
    "flat-deep": "no subgoals, and four times the search: twice the horizon, twice the candidates",
    "random": "random actions",
    "oracle": "the true keyframes of a demonstration of the same task",
    "oracle-bends": "frames of that demonstration between which the object moves straightest",
    "oracle-even": "... at equal shares of its time",
    "oracle-constant": "... a constant time apart",
    "oracle-random": "... at random times",
}


TAP_DRAWS = 20
"""Plans among which TAP looks for a plausible one: as many as the shortlist of the other planners."""


Timing = Literal["bends", "even", "constant", "random"]
TIMED: Mapping[str, Timing] = {
    "oracle-bends": "bends",
    "oracle-even": "even",
    "oracle-constant": "constant",
    "oracle-random": "random",
}
"""Oracles by when their subgoals are."""


def keyin_subgoals(planner: Planner, keyframes: Count | None = None) -> Subgoals:
    """The keyframes of the best plan, the last one left out: the goal picture stands in its place."""

    def subgoals(
        now: Float[Tensor, "1 C H W"], goal: Float[Tensor, "1 C H W"], generator: torch.Generator
    ) -> Float[Tensor, "K C H W"]:
        context = Context(now[:, None], now.new_zeros(1, 0, 0))
        return planner.plan(context, goal, [generator], keyframes=keyframes).subgoals[0, :-1]

    return subgoals


def path_subgoals(planner: Planner, keyframes: Count | None = None, steps: int = 1) -> Subgoals:
    """Every frame of the best plan, as KeyIn composes it, up to the keyframe nearest the goal; the goal
    picture stands in that one's place. A frame lasts so many control ``steps``, and comes as often.

    Raises:
        ValueError: the planner's model cannot compose frames.
    """
    composing(planner)

    @torch.inference_mode()
    def frames(
        now: Float[Tensor, "1 C H W"], goal: Float[Tensor, "1 C H W"], generator: torch.Generator
    ) -> Float[Tensor, "K C H W"]:
        context = Context(now[:, None], now.new_zeros(1, 0, 0))
        plan = planner.plan(context, goal, [generator], keyframes=keyframes)
        path = plan_path(planner, plan, now, plan_end(planner, plan, goal))
        return path.repeat_interleave(steps, dim=0)

    return frames


def composing(planner: Planner) -> KeyIn:
    """The model of a planner whose plans can be followed frame by frame.

    Raises:
        ValueError: it cannot compose frames.
    """
    if not isinstance(planner.model, KeyIn):
        raise ValueError("only plans of KeyIn can be followed frame by frame")
    return planner.model


@torch.inference_mode()
def plan_path(
    planner: Planner, plan: Plan, now: Float[Tensor, "1 C H W"], end: int
) -> Float[Tensor, "K C H W"]:
    """Every frame of a plan between the picture of now and the keyframe ``end``, both left out.

    Raises:
        ValueError: the planner's model cannot compose frames.
    """
    model, times = composing(planner), plan.times.long()
    offsets = times.diff(dim=1, prepend=torch.zeros_like(times[:, :1]))
    path = model.compose(model.embed(now), plan.features, offsets)[0, : int(times[0, end]) - 1]
    return model.decode(path) if len(path) else now[:0]


@torch.inference_mode()
def plan_end(planner: Planner, plan: Plan, goal: Float[Tensor, "1 C H W"]) -> int:
    """Which keyframe of a plan, from 0, is where it reaches the goal: the one that costs least to end at."""
    cost, target = planner.cost, planner.cost.target(goal)
    if isinstance(cost, EmbeddingCost):
        return int(cost.wanted.price(plan.features, plan.times, plan.decisions, target)[0].argmin())
    each = Future(plan.features[0][:, None], plan.times[0][:, None])
    return int(cost(each, plan.decisions[0][:, None], target.expand(len(each.times), -1)).argmin())


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
    found = world.demonstrate(start)
    return _shown([] if found is None else [found.pictures[time] for time in found.keyframes[:-1]])


def timed_oracle(world: World[Any], start: Start, count: int, timing: Timing, constant: int) -> Subgoals:
    """Pictures of a demonstration from ``start`` at ``count`` times, of which the last is the goal's.

    The times are those between which the object moves straightest (``bends``), equal shares of the time
    (``even``), ``constant`` frames apart, or drawn at random with the scene as seed.
    """
    found = world.demonstrate(start)
    if found is None:
        return _shown([])
    last = len(found.pictures) - 1
    if timing == "bends":
        goal = make_goal(world.goal)
        assert goal is not None
        places = fill_gaps(goal.target(to_tensor(np.stack(found.pictures)))[None])
        squares, _ = chord_distances(places, last)
        begin = torch.zeros(1, dtype=torch.long)
        ways = onward_offsets(squares, count)
        times = follow(ways, begin, torch.tensor([count])).cumsum(-1)[0, :-1].tolist()
    elif timing == "random":
        rng = np.random.default_rng(list(bytes.fromhex(start.digest)[:16]))
        times = sorted(rng.choice(np.arange(1, last), count - 1, replace=False).tolist())
    elif timing == "constant":
        times = [time for time in range(constant, constant * count, constant) if time < last]
    else:
        times = [round(last * part / count) for part in range(1, count)]
    return _shown([found.pictures[time] for time in times])


def _shown(pictures: Sequence[Picture]) -> Subgoals:
    """These pictures, whatever is seen."""

    def subgoals(
        now: Float[Tensor, "1 C H W"], goal: Float[Tensor, "1 C H W"], generator: torch.Generator
    ) -> Float[Tensor, "K C H W"]:
        return to_tensor(np.stack(pictures), goal.device) if pictures else goal[:0]

    return subgoals
