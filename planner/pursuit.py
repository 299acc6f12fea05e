"""Pursuing subgoals: which one, until when, and when to plan afresh (KeyIn, section 10)."""

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from math import ceil
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from planner.goals import Goal
from planner.low_levels.low_level import LowLevel, Request
from planner.search.rollout import RollOut
from planner.subgoals import Subgoals, no_subgoals
from world_models.eye import STANDARD, Calibration, Eye
from world_models.frames import Picture, to_bytes, to_tensor
from world_models.interface import Context

Purpose = Literal["plan", "action"]
Randomness = Callable[[int, Purpose], torch.Generator]
"""(control steps done, what for) -> randomness of a search."""
Status = Literal["continue", "switched", "missed", "done"]

PATIENCE = 1.25
"""A subgoal may take so many times its share of the steps that are left."""


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
    goal_radius: float = Field(default=1.0, gt=0)
    replan: Literal["never", "missed", "surprised", "always"] = "never"
    """Plan afresh from the current picture when a subgoal was given up; or also when the last action had a
    surprising outcome; or (always) when a subgoal was given up or reached.

    On the way to the goal there is nothing left to plan, unless the last subgoal was given up.
    """
    surprise: float = Field(default=4.0, gt=0)
    """An outcome surprises if it is farther than this from what the servo's model expected."""


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


class SubgoalQueue:
    """The subgoals still ahead; the goal picture is always the last of them."""

    def __init__(
        self,
        goal: Goal,
        picture: Float[Tensor, "1 C H W"],
        config: EpisodeConfig,
        reach: float,
    ) -> None:
        """Of the rules, those about when a picture is reached or given up are used; ``reach`` is the low
        level's.
        """
        self._goal, self._picture, self._config = goal, picture, config
        self._near = config.subgoal_radius or reach
        self.follow(picture[:0], steps_left=0)

    def follow(self, subgoals: Float[Tensor, "K C H W"], steps_left: int) -> None:
        """Take these subgoals, less those that show nothing of what is wanted, and the goal, for so many
        steps.
        """
        self._steps_left = steps_left
        frames = torch.cat([subgoals, self._picture])
        targets = self._goal.target(frames)
        seen = ~targets.isnan().any(dim=-1)
        seen[-1] = True
        self._frames, self._targets, self._places = frames[seen], targets[seen], seen.nonzero()[:, 0]
        self._head_for(0)

    def _head_for(self, place: int) -> None:
        self._next, self._steps = place, 0
        legs = len(self._frames) - place
        self._patience = self._config.max_steps_per_subgoal or ceil(PATIENCE * self._steps_left / legs)

    @property
    def subgoal(self) -> Float[Tensor, "1 C H W"]:
        """The picture that is pursued."""
        return self._frames[self._next : self._next + 1]

    @property
    def place(self) -> int:
        """Which of the pictures it was given is the subgoal; those that show nothing count."""
        return int(self._places[self._next])

    @property
    def at_goal(self) -> bool:
        """Whether there is nothing ahead but the goal."""
        return self._next == len(self._frames) - 1

    def advance(self, found: Float[Tensor, "1 G"]) -> Status:
        """Switch to the next subgoal if this one is reached or has taken too long."""
        status: Status = "continue"
        while not self.at_goal:
            reached = self._reaches(found)
            if not reached and self._steps < self._patience:
                break
            status = "switched" if reached else "missed"
            self._head_for(self._next + 1)
        if self.at_goal and self._distance(found) < self._config.goal_radius:
            return "done"
        self._steps += 1
        self._steps_left -= 1
        return status

    def _reaches(self, found: Float[Tensor, "1 G"]) -> bool:
        """Whether the subgoal counts as reached from here; there is one after it."""
        distance = self._distance(found)
        if self._near <= distance < self._config.passing_radius:
            subgoal, onward = self._targets[self._next], self._targets[self._next + 1]
            way = onward - found[0]
            share = ((subgoal - found[0]) @ way / (way @ way).clamp(min=1e-9)).clamp(0, 1)
            distance = self._distance(found + share * way)
        return distance < self._near

    def _distance(self, found: Float[Tensor, "1 G"]) -> float:
        """From there to the current subgoal; infinite while what is wanted cannot be seen."""
        return float(self._goal.distance(found, self._targets[self._next : self._next + 1]))


_REASONS: dict[str, tuple[Status | Literal["surprised"], ...]] = {
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
        self._queue: SubgoalQueue | None = None
        if actor.goal is not None:
            self._queue = SubgoalQueue(actor.goal, self._goal, actor.config, actor.low_level.reach)
        self._warm_start: Tensor | None = None

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
        reason: Status | Literal["surprised"] = status
        if status == "continue" and self._surprised(queue, seen):
            reason = "surprised"
        if reason in _REASONS[self._actor.config.replan] and (reason == "missed" or not queue.at_goal):
            self._plan(queue, goal, seen)
            queue.advance(found)
        if reason != "continue":
            self._warm_start = None
        return False

    def act(self, seen: Context) -> Generator[RollOut, Tensor, Float[Tensor, "1 A"]]:
        """The next action."""
        subgoal = self._goal if self._queue is None else self._queue.subgoal
        randomness = self._randomness(seen.actions.shape[1], "action")
        step = yield from self._actor.low_level.acting(Request(seen, subgoal, self._warm_start, randomness))
        if self._queue is not None:
            self._notes.pursued.append((len(self._notes.plans) - 1, self._queue.place))
        self._warm_start = step.warm_start
        return step.action

    def _plan(self, queue: SubgoalQueue, goal: Goal, seen: Context) -> None:
        notes, begun = self._notes, time.perf_counter()
        randomness = self._randomness(seen.actions.shape[1], "plan")
        frames = self._actor.subgoals(seen.frames[:, -1], self._goal, randomness)
        frames = to_tensor(to_bytes(frames), self._goal.device)
        notes.plan_seconds.append(time.perf_counter() - begun)
        queue.follow(frames, self._steps - seen.actions.shape[1])
        notes.plans.append([tuple(map(float, target)) for target in goal.target(frames)])
        notes.whole.append(goal.plausible(frames).tolist())
        notes.strips.append([*to_bytes(frames), self._goal_picture])

    def _surprised(self, queue: SubgoalQueue, seen: Context) -> bool:
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
