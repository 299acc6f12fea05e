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
from torch import Tensor

from envs.world import Diverged, Measures, Start, World
from planner.pursuit import Actor, Pilot, Pursuit, Randomness
from planner.search.rollout import Interrupted, Interruption, RollOut, drive
from world_models.frames import Picture, to_tensor
from world_models.interface import Context

S = TypeVar("S", bound=Start)


@dataclass(kw_only=True)
class Outcome(Pursuit):
    """What happened in one episode."""

    frames: list[Picture]
    """Start, then the picture after every step."""
    measures: list[Measures]
    """True figures at the same moments."""
    actions: list[NDArray[np.float32]] = field(default_factory=list)
    """The action between each frame and the next."""
    decision_seconds: list[float] = field(default_factory=list)
    """What the low level took for an action ..."""
    step_seconds: list[float] = field(default_factory=list)
    """... and what that and the world took."""
    stop: Interruption | Literal["goal", "steps", "world", "diverged", "unseen"] = "steps"
    """Why it ended: the picture shows the goal reached, all steps are done, the world ended it, the
    simulation diverged, the goal picture shows nothing of what is wanted; or why somebody ended it before
    its time."""

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
    clock: Callable[[], float] = time.perf_counter,
) -> Episode:
    """Go on from ``picture``, where the world is, until the goal is reached in the picture, or ``steps``.

    Without a goal picture a black one stands in its place. A goal picture that shows nothing of what the
    actor's goal is about says nothing, and nothing is done. Subgoals are pictures of 8 bits, as they travel
    over a wire. Decisions and steps are timed by ``clock``, in seconds.

    Raises:
        ValueError: new plans are wanted after surprises, and nothing says what is one.
    """
    if actor.config.replan == "surprised" and not actor.low_level.can_be_surprised:
        raise ValueError("nothing surprises this low level; replan never, missed or always")
    outcome = Outcome(frames=[picture], measures=[world.measure()])
    look = outcome.calibration = actor.eye.calibrate(picture, goal)
    shown = np.zeros_like(picture) if goal is None else actor.eye.see(goal, look)
    pilot = Pilot(actor, shown, steps, outcome, randomness)
    if not pilot.sees_the_goal:
        outcome.stop = "unseen"
        return outcome
    seen = _Seen(actor.eye.see(picture, look), steps, world.action_size, actor.device)
    for now in range(steps):
        if pilot.finds_itself_done(seen.context):
            outcome.stop = "goal"
            break
        if not now:
            yield Moment(0, picture, None, pilot.subgoal, outcome.measures[0])
        begun, subgoal = clock(), pilot.subgoal
        try:
            action = yield from pilot.act(seen.context)
            outcome.decision_seconds.append(clock() - begun)
            done = action[0].numpy(force=True)
            picture = world.step(done)
        except Interrupted as interrupted:
            outcome.stop = interrupted.reason
            break
        except Diverged:
            outcome.stop = "diverged"
            break
        seen.add(action, actor.eye.see(picture, look))
        outcome.step_seconds.append(clock() - begun)
        outcome.actions.append(done)
        outcome.frames.append(picture)
        outcome.measures.append(world.measure())
        yield Moment(now + 1, picture, done, subgoal, outcome.measures[-1])
        if world.over:
            outcome.stop = "world"
            break
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
