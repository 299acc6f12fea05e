"""The closed loop, for every world: plan subgoals, pursue each in turn, act, observe, replan (KeyIn, section
10).

Decisions rest on pictures and past actions alone, except where the low level has true dynamics; true figures
only enter the outcome.
"""

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from envs.world import Diverged, Measures, Picture, Start, World
from planner.goals import Goal
from planner.low_levels import LowLevel, Request
from planner.search.rollout import Interrupted, Interruption, RollOut, drive
from planner.subgoal_queue import Status, SubgoalQueue
from planner.subgoals import Subgoals, no_subgoals
from world_models.frames import to_bytes, to_tensor
from world_models.interface import Context

S = TypeVar("S", bound=Start)
Purpose = Literal["plan", "action"]
Randomness = Callable[[int, Purpose], torch.Generator]
"""(control steps done, what for) -> randomness of a search."""


class EpisodeConfig(BaseModel):
    """Rules of the closed loop; step counts are those of KeyIn, Table 3, distances those of the goal:
    pixels.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_steps_per_subgoal: int = Field(default=10, ge=1)
    """Give up on a subgoal after so many steps; the goal itself is never given up."""
    subgoal_radius: float = Field(default=4.0, gt=0)
    """The paper gives none, the authors' code 5. With 2.5 the servo at times hovers beside a near subgoal."""
    goal_radius: float = Field(default=1.0, gt=0)
    replan: Literal["never", "missed", "surprised", "always"] = "never"
    """Plan afresh from the current picture when a subgoal was given up; or also when the last action had a
    surprising outcome; or (always) when a subgoal was given up or reached.

    On the way to the goal there is nothing left to plan, unless the last subgoal was given up.
    """
    surprise: float = Field(default=4.0, gt=0)
    """An outcome surprises if it is farther than this from what the servo's model expected."""


@dataclass
class Outcome:
    """What happened in one episode; durations are in seconds."""

    frames: list[Picture]
    """Start, then the picture after every step."""
    measures: list[Measures]
    """True figures at the same moments."""
    actions: list[NDArray[np.float32]] = field(default_factory=list)
    """The action between each frame and the next."""
    plans: list[list[tuple[float, ...]]] = field(default_factory=list)
    """For every plan made, where each of its subgoals shows what is wanted; none if the goal does not."""
    whole: list[list[bool]] = field(default_factory=list)
    """... and whether it is a plausible picture."""
    strips: list[list[Picture]] = field(default_factory=list)
    """For every plan made, its subgoals and then the goal."""
    pursued: list[tuple[int, int]] = field(default_factory=list)
    """For every step, which plan was in force, and which picture of its strip was the subgoal."""
    plan_seconds: list[float] = field(default_factory=list)
    decision_seconds: list[float] = field(default_factory=list)
    """What the low level took for an action ..."""
    step_seconds: list[float] = field(default_factory=list)
    """... and what that and the world took."""
    stop: Interruption | Literal["goal", "steps", "diverged", "unseen"] = "steps"
    """Why it ended: the picture shows the goal reached, all steps are done, the simulation diverged, the goal
    picture shows nothing of what is wanted; or why somebody ended it before its time."""

    @property
    def steps(self) -> int:
        """Control steps done."""
        return len(self.actions)


@dataclass(frozen=True)
class Moment:
    """A running episode after ``step`` control steps, of which ``action`` was the last (None at the start).

    ``subgoal`` says which picture of the plan in force that step pursued; at the start, which one the first
    step will; None in worlds without a goal.
    """

    step: int
    picture: Picture
    action: NDArray[np.float32] | None
    subgoal: int | None
    measures: Measures


Episode = Generator[RollOut | Moment | None, Any, Outcome]
"""Yields roll-outs, to be sent their output, and after each step its moment and None, to be sent None or why
to end there. In place of output Interrupted can be thrown: the step that waits for it is not taken."""

_REASONS: dict[str, tuple[Status | Literal["surprised"], ...]] = {
    "never": (),
    "missed": ("missed",),
    "surprised": ("missed", "surprised"),
    "always": ("missed", "switched"),
}
"""What calls for a new plan."""


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


def run_episode(
    world: World[S],
    start: S,
    actor: Actor,
    randomness: Randomness,
    *,
    goal: Picture | None = None,
    steps: int | None = None,
) -> Outcome:
    """Begin an episode and run it to its end, with the world's goal picture and length unless others are
    given.

    Raises as :func:`episode` does, and what ``begin`` raises.
    """
    picture, shown = world.begin(start)
    length = world.length(start) if steps is None else steps
    return drive(episode(world, picture, shown if goal is None else goal, length, actor, randomness))


def episode(
    world: World[Any],
    picture: Picture,
    goal: Picture | None,
    steps: int,
    actor: Actor,
    randomness: Randomness,
) -> Episode:
    """Go on from ``picture``, where the world is, until the goal is reached in the picture, or ``steps``.

    Without a goal picture a black one stands in its place. A goal picture that shows nothing of what the
    actor's goal is about says nothing, and nothing is done. Subgoals are pictures of 8 bits, as they travel
    over a wire.

    Raises:
        ValueError: new plans are wanted after surprises, and nothing says what is one.
    """
    if actor.config.replan == "surprised" and not actor.low_level.can_be_surprised:
        raise ValueError("only a learned servo is surprised; replan never, missed or always")
    outcome = Outcome([picture], [world.measure()])
    pilot = _Pilot(actor, np.zeros_like(picture) if goal is None else goal, outcome, randomness)
    if not pilot.sees_the_goal:
        outcome.stop = "unseen"
        return outcome
    seen = _Seen(picture, steps, world.action_size, actor.device)
    for now in range(steps):
        if pilot.finds_itself_done(seen.context):
            outcome.stop = "goal"
            break
        if not now:
            yield Moment(0, picture, None, pilot.subgoal, outcome.measures[0])
        begun, subgoal = time.perf_counter(), pilot.subgoal
        try:
            action = yield from pilot.act(seen.context)
            outcome.decision_seconds.append(time.perf_counter() - begun)
            done = action[0].numpy(force=True)
            picture = world.step(done)
        except Interrupted as interrupted:
            outcome.stop = interrupted.reason
            break
        except Diverged:
            outcome.stop = "diverged"
            break
        seen.add(action, picture)
        outcome.step_seconds.append(time.perf_counter() - begun)
        outcome.actions.append(done)
        outcome.frames.append(picture)
        outcome.measures.append(world.measure())
        yield Moment(now + 1, picture, done, subgoal, outcome.measures[-1])
        if now + 1 < steps and (reason := (yield None)) is not None:
            outcome.stop = reason
            break
    return outcome


class _Seen:
    """Pictures and actions of the running episode."""

    def __init__(self, picture: Picture, steps: int, actions: int, device: str) -> None:
        self._frames = torch.empty(1, steps + 1, 3, *picture.shape[:2], device=device)
        self._actions = torch.empty(1, steps, actions, device=device)
        self._frames[0, 0], self._count = to_tensor(picture, device), 0

    @property
    def context(self) -> Context:
        """All there is so far."""
        return Context(self._frames[:, : self._count + 1], self._actions[:, : self._count])

    def add(self, action: Float[Tensor, "1 A"], picture: Picture) -> None:
        self._actions[0, self._count] = action[0].to(self._actions.device)
        self._count += 1
        self._frames[0, self._count] = to_tensor(picture, self._frames.device)


class _Pilot:
    """Decides what to do next, from what is seen; notes plans in the outcome."""

    def __init__(self, actor: Actor, goal: Picture, outcome: Outcome, randomness: Randomness) -> None:
        self._actor, self._outcome, self._randomness = actor, outcome, randomness
        self._goal_picture = goal
        self._goal = to_tensor(goal, actor.device)[None]
        self._queue: SubgoalQueue | None = None
        if actor.goal is not None:
            config = actor.config
            self._queue = SubgoalQueue(
                actor.goal,
                self._goal,
                config.subgoal_radius,
                config.goal_radius,
                config.max_steps_per_subgoal,
            )
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
        if not self._outcome.plans:
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
        randomness = self._randomness(self._outcome.steps, "action")
        step = yield from self._actor.low_level.acting(Request(seen, subgoal, self._warm_start, randomness))
        if self._queue is not None:
            self._outcome.pursued.append((len(self._outcome.plans) - 1, self._queue.place))
        self._warm_start = step.warm_start
        return step.action

    def _plan(self, queue: SubgoalQueue, goal: Goal, seen: Context) -> None:
        outcome, begun = self._outcome, time.perf_counter()
        randomness = self._randomness(outcome.steps, "plan")
        frames = self._actor.subgoals(seen.frames[:, -1], self._goal, randomness)
        frames = to_tensor(to_bytes(frames), self._goal.device)
        outcome.plan_seconds.append(time.perf_counter() - begun)
        queue.follow(frames)
        outcome.plans.append([tuple(map(float, target)) for target in goal.target(frames)])
        outcome.whole.append(goal.plausible(frames).tolist())
        outcome.strips.append([*to_bytes(frames), self._goal_picture])

    def _surprised(self, queue: SubgoalQueue, seen: Context) -> bool:
        """Whether the last action had a surprising outcome, if that matters."""
        config = self._actor.config
        asked = config.replan == "surprised" and not queue.at_goal and self._outcome.steps > 0
        return asked and self._actor.low_level.surprise(seen) > config.surprise
