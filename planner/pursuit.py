"""Pursuing subgoals: which one, until when, and when to plan afresh (KeyIn, section 10)."""

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field, model_serializer
from torch import Tensor

from planner.goals import Goal
from planner.low_levels.low_level import LowLevel, Request
from planner.queues import PathQueue, Radii, Status, SubgoalQueue
from planner.search.rollout import RollOut
from planner.subgoals import Subgoals, no_subgoals
from world_models.eye import STANDARD, Calibration, Eye
from world_models.frames import Picture, to_bytes, to_tensor
from world_models.interface import Context

Purpose = Literal["plan", "action"]
Randomness = Callable[[int, Purpose], torch.Generator]
"""(control steps done, what for) -> randomness of a search."""
Reason = Status | Literal["surprised", "due"]


class EpisodeConfig(BaseModel):
    """Rules of the closed loop; step counts are those of KeyIn, Table 3, distances those of the goal:
    pixels.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_steps_per_subgoal: int | None = Field(default=None, ge=1)
    """Give up on a subgoal after so many steps; the goal itself is never given up. None leaves a subgoal its
    share of the steps that are left and a quarter more, so that fewer subgoals get more time each; the paper
    gives 10, which cuts long legs short."""
    subgoal_radius: float | None = Field(default=None, gt=0)
    """A subgoal is reached within this; None takes the low level's ``reach``. The paper gives none, the
    authors' code 5."""
    passing_radius: float = Field(default=4.0, gt=0)
    """Within this it is reached, too, if the straight way on to the next one passes it within
    ``subgoal_radius``: only where the way turns is it worth the steps to come quite near."""
    goal_radius: float = Field(default=1.0, ge=0)
    """Ends the episode; 0 leaves that to the world."""
    replan: Literal["never", "missed", "surprised", "always"] = "never"
    """Plan afresh from the current picture when a subgoal was given up; or also when the last action had a
    surprising outcome; or (always) when a subgoal was given up or reached.

    On the way to the goal there is nothing left to plan, unless the last subgoal was given up.
    """
    surprise: float = Field(default=4.0, gt=0)
    """An outcome surprises if it is farther than this from what the servo's model expected."""
    follow: bool = False
    """Follow the plan frame by frame, one for each step, up to the keyframe nearest the goal, instead of
    pursuing its subgoals one after the other. Needs subgoals that come as such a path."""
    replan_every: int | None = Field(default=None, ge=1)
    """Plan afresh after so many steps, whatever else calls for it; None never does."""

    @model_serializer(mode="wrap")
    def _as_before(self, handler: Callable[[Any], Any]) -> dict[str, Any]:
        """Results of before plans could be followed are known again: the old way goes without saying."""
        found: dict[str, Any] = handler(self)
        usual = {"follow": False, "replan_every": None}
        return {name: value for name, value in found.items() if name not in usual or value != usual[name]}


@dataclass(kw_only=True)
class Pursuit:
    """What was planned and pursued; durations are in seconds."""

    plans: list[list[tuple[float, ...]]] = field(default_factory=list)
    """For every plan made, where each of its subgoals shows what is wanted; none if the goal does not."""
    whole: list[list[bool]] = field(default_factory=list)
    """... and whether it is a plausible picture."""
    strips: list[list[Picture]] = field(default_factory=list)
    """For every plan made, its subgoals and then the goal."""
    pursued: list[tuple[int, int]] = field(default_factory=list)
    """For every step, which plan was in force, and which picture of its strip was the subgoal."""
    plan_seconds: list[float] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)
    """For every step, what the actions that it is the first of were expected to cost."""
    calibration: Calibration = STANDARD
    """How pictures were corrected before anybody looked at them; plans show the scene as corrected."""


@dataclass(frozen=True)
class Actor:
    """Who acts: what proposes subgoals, the low level that pursues them, and the rules between them."""

    low_level: LowLevel
    subgoals: Subgoals = no_subgoals
    goal: Goal | None = None
    """What of the goal picture counts; None goes on to the last step, whatever is seen."""
    config: EpisodeConfig = field(default_factory=EpisodeConfig)
    device: str = "cpu"
    """Where pictures and actions are handed over."""
    eye: Eye = field(default_factory=Eye)
    """What pictures pass through, once calibrated on the first one and the goal."""


_REASONS: dict[str, tuple[Reason, ...]] = {
    "never": (),
    "missed": ("missed",),
    "surprised": ("missed", "surprised"),
    "always": ("missed", "switched"),
}
"""What calls for a new plan."""


class Pilot:
    """Decides what to do next, from what is seen; notes plans."""

    def __init__(
        self, actor: Actor, goal: Picture, steps: int, notes: Pursuit, randomness: Randomness
    ) -> None:
        """``steps`` is the length of the episode."""
        self._actor, self._notes, self._randomness = actor, notes, randomness
        self._goal_picture, self._steps = goal, steps
        self._goal = to_tensor(goal, actor.device)[None]
        self._queue: SubgoalQueue | PathQueue | None = None
        if actor.goal is not None:
            config, near = actor.config, actor.config.subgoal_radius or actor.low_level.reach
            if config.follow:
                self._queue = PathQueue(actor.goal, self._goal, config.goal_radius)
            else:
                radii = Radii(near, config.passing_radius, config.goal_radius)
                self._queue = SubgoalQueue(actor.goal, self._goal, radii, config.max_steps_per_subgoal)
        self._warm_start: Tensor | None = None
        self._since = 0

    @property
    def sees_the_goal(self) -> bool:
        """Whether the goal picture shows what is wanted."""
        goal = self._actor.goal
        return goal is None or not bool(goal.target(self._goal).isnan().any())

    @property
    def subgoal(self) -> int | None:
        """Which picture of the plan in force is pursued."""
        return None if self._queue is None else self._queue.place

    def finds_itself_done(self, seen: Context) -> bool:
        """Switch subgoals and plan as the rules say; whether the goal is reached."""
        queue, goal = self._queue, self._actor.goal
        if queue is None or goal is None:
            return False
        if not self._notes.plans:
            self._plan(queue, goal, seen)
        found = goal.target(seen.frames[:, -1])
        status = queue.advance(found)
        if status == "done":
            return True
        reason: Reason = status
        if status == "continue" and self._surprised(queue, seen):
            reason = "surprised"
        wanted = reason in _REASONS[self._actor.config.replan] and (reason == "missed" or not queue.at_goal)
        if not wanted and self._since == self._actor.config.replan_every:
            reason, wanted = "due", True
        if wanted:
            self._plan(queue, goal, seen)
            queue.advance(found)
        if reason != "continue":
            self._warm_start = None
        return False

    def act(self, seen: Context) -> Generator[RollOut, Tensor, Float[Tensor, "1 A"]]:
        """The next action."""
        queue = self._queue
        subgoal = self._goal if queue is None else queue.subgoal
        randomness = self._randomness(seen.actions.shape[1], "action")
        path = queue.path if isinstance(queue, PathQueue) else None
        request = Request(seen, subgoal, self._warm_start, randomness, path)
        step = yield from self._actor.low_level.acting(request)
        if queue is not None:
            self._notes.pursued.append((len(self._notes.plans) - 1, queue.place))
        if isinstance(queue, PathQueue):
            queue.go_on()
        self._since += 1
        self._notes.costs.append(float(step.cost))
        self._warm_start = step.warm_start
        return step.action

    def _plan(self, queue: SubgoalQueue | PathQueue, goal: Goal, seen: Context) -> None:
        notes, begun = self._notes, time.perf_counter()
        randomness = self._randomness(seen.actions.shape[1], "plan")
        frames = self._actor.subgoals(seen.frames[:, -1], self._goal, randomness)
        frames = to_tensor(to_bytes(frames), self._goal.device)
        notes.plan_seconds.append(time.perf_counter() - begun)
        self._since = 0
        queue.follow(frames, self._steps - seen.actions.shape[1])
        if isinstance(queue, PathQueue):
            frames = frames[queue.shown]
        notes.plans.append([tuple(map(float, target)) for target in goal.target(frames)])
        notes.whole.append(goal.plausible(frames).tolist())
        notes.strips.append([*to_bytes(frames), self._goal_picture])

    def _surprised(self, queue: SubgoalQueue | PathQueue, seen: Context) -> bool:
        """Whether the last action had a surprising outcome, if that matters."""
        config = self._actor.config
        asked = config.replan == "surprised" and not queue.at_goal and seen.actions.shape[1] > 0
        return asked and self._actor.low_level.surprise(seen) > config.surprise


def search_seed(seed: int, step: int, purpose: Purpose) -> int:
    """Seed of the search for the plan, or for the action, at a step of the episode of that seed.

    It is the first 64-bit word that :class:`numpy.random.SeedSequence` makes of (seed, step, 0 for plans or 1
    for actions), without its lowest bit, so that it is an int64.

    Raises:
        ValueError: seed or step is negative.
    """
    sequence = np.random.SeedSequence((seed, step, int(purpose == "action")))
    return int(sequence.generate_state(1, np.uint64)[0]) >> 1


def own_seeds(seed: int) -> Randomness:
    """A seed for every search: a step depends on the episode so far through pictures and warm start alone."""
    return lambda step, purpose: torch.Generator().manual_seed(search_seed(seed, step, purpose))


def one_stream(seed: int) -> Randomness:
    """One stream of random numbers for all searches, as the published figures of DM Control were made
    with.
    """
    generator = torch.Generator().manual_seed(seed)
    return lambda step, purpose: generator
