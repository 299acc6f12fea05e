"""One closed-loop episode: plan subgoals, servo to each in turn, switch, replan, stop (KeyIn, section 10)."""

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from envs.push.env import PushEnv
from envs.push.scene import Scene
from planner.control import Controller, searching
from planner.route import Route
from planner.search.rollout import Interrupted, Interruption, RollOut, drive
from world_models.frames import to_bytes, to_tensor
from world_models.interface import Context
from world_models.segmenter import ColorSegmenter

Picture = NDArray[np.uint8]
Subgoals = Callable[
    [Float[Tensor, "1 C H W"], Float[Tensor, "1 C H W"], torch.Generator], Float[Tensor, "K C H W"]
]
"""(picture of now, picture of the goal, randomness) -> subgoals on the way; the goal is not among them."""

Surprise = Callable[[Context], float]
"""Everything seen so far -> pixels between the last picture and what was expected of the last action."""
Positions = list[tuple[float, float]]
Purpose = Literal["plan", "action"]


class EpisodeConfig(BaseModel):
    """Rules of the closed loop; step counts are those of KeyIn, Table 3, distances are in pixels."""

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
    """What happened in one episode. Distances are shortest paths in table units, durations in seconds.

    ``plans`` holds, for every plan made, where each of its subgoals shows the object, in pixels, and
    ``whole`` whether it shows exactly one whole object. There are none where the goal shows no object.
    """

    initial_distance: float
    distance: float
    steps: int
    final_puck: tuple[float, float]
    plans: list[Positions] = field(default_factory=list)
    whole: list[list[bool]] = field(default_factory=list)
    plan_seconds: list[float] = field(default_factory=list)
    step_seconds: list[float] = field(default_factory=list)
    frames: list[Picture] = field(default_factory=list)
    """Start, then the picture after every step."""
    strips: list[list[Picture]] = field(default_factory=list)
    """For every plan made, its subgoals and then the goal."""
    pursued: list[tuple[int, int]] = field(default_factory=list)
    """For every step, which plan was in force, and which picture of its strip was the subgoal."""
    actions: list[NDArray[np.float32]] = field(default_factory=list)
    """The action between each frame and the next."""
    interrupted: Interruption | None = None
    """Why it was ended before its time."""


@dataclass(frozen=True)
class Moment:
    """A running episode after ``step`` control steps, of which ``action`` was the last.

    ``subgoal`` says which picture of the plan in force that step pursued; at the start, before any action,
    which one the first step will. ``distance`` is the puck's shortest way to the goal, in table units.
    """

    step: int
    picture: Picture
    action: NDArray[np.float32] | None
    subgoal: int
    distance: float


Episode = Generator[RollOut | Moment | None, Any, Outcome]
"""Yields roll-outs, to be sent their output, and after each step its moment and None, to be sent None or why
to end there. In place of output Interrupted can be thrown: the step that waits for it is not taken."""

_REASONS = {
    "never": (),
    "missed": ("missed",),
    "surprised": ("missed", "surprised"),
    "always": ("missed", "switched"),
}
"""What calls for a new plan."""


class _Seen:
    """Pictures and actions of the running episode."""

    def __init__(self, picture: Picture, actuators: int, device: str) -> None:
        actions = torch.zeros(1, 0, actuators, device=device)
        self.context = Context(to_tensor(picture, device)[None, None], actions)
        self.pictures = [picture]

    def add(self, action: Float[Tensor, "1 A"], picture: Picture) -> None:
        self.pictures.append(picture)
        frames, actions = self.context.frames, self.context.actions
        self.context = Context(
            torch.cat([frames, to_tensor(picture, frames.device)[None, None]], 1),
            torch.cat([actions, action[:, None].to(actions.device)], 1),
        )


def search_seed(seed: int, step: int, purpose: Purpose) -> int:
    """Seed of the search for the plan, or for the action, at a step of the episode of that seed.

    It is the first 64-bit word that :class:`numpy.random.SeedSequence` makes of (seed, step, 0 for plans or 1
    for actions), without its lowest bit, so that it is an int64.

    Raises:
        ValueError: seed or step is negative.
    """
    sequence = np.random.SeedSequence((seed, step, int(purpose == "action")))
    return int(sequence.generate_state(1, np.uint64)[0]) >> 1


def run_episode(
    env: PushEnv,
    scene: Scene,
    subgoals: Subgoals,
    controller: Controller,
    segmenter: ColorSegmenter,
    config: EpisodeConfig,
    seed: int,
    surprise: Surprise | None = None,
) -> Outcome:
    """:func:`episode` from beginning to end. Raises likewise."""
    return drive(episode(env, scene, subgoals, controller, segmenter, config, seed, surprise))


def episode(
    env: PushEnv,
    scene: Scene,
    subgoals: Subgoals,
    controller: Controller,
    segmenter: ColorSegmenter,
    config: EpisodeConfig,
    seed: int,
    surprise: Surprise | None = None,
    device: str = "cpu",
) -> Episode:
    """Run ``scene`` to the end: the goal reached in the picture, or ``scene.steps``.

    A goal picture that shows no object says nothing, and nothing is done.

    Decisions rest on pictures and past actions alone (subgoals are switched by the segmented puck), except
    where the controller has true dynamics; true positions only enter the returned distances. Subgoals are
    pictures of 8 bits, as they travel over a wire, and every search has a seed of its own
    (:func:`search_seed`): a step depends on the episode so far through pictures and warm start alone.
    Planner and controller are given pictures on ``device``.

    Raises:
        ValueError: new plans are wanted after surprises, and nothing says what is one.
    """
    if config.replan == "surprised" and surprise is None:
        raise ValueError("only a learned servo is surprised; replan never, missed or always")
    picture, info = env.reset(options={"scene": scene})
    seen = _Seen(picture, env.action_space.shape[0], device)  # type: ignore[index]
    outcome = Outcome(info["distance"], info["distance"], 0, scene.puck, frames=seen.pictures)
    if bool(segmenter.blob(to_tensor(info["goal"])[None]).centre.isnan().any()):
        return outcome
    pilot = _Pilot(subgoals, controller, segmenter, config, info["goal"], outcome, seed, surprise, device)
    action: Tensor | None = None
    for _ in range(scene.steps):
        if pilot.finds_itself_done(seen):
            break
        if action is None:
            yield Moment(0, picture, None, pilot.subgoal, outcome.distance)
        begun, subgoal = time.perf_counter(), pilot.subgoal
        try:
            action = yield from pilot.act(seen)
        except Interrupted as interrupted:
            outcome.interrupted = interrupted.reason
            break
        outcome.actions.append(action[0].numpy(force=True))
        picture, *_, info = env.step(outcome.actions[-1].astype(np.float64))
        seen.add(action, picture)
        outcome.step_seconds.append(time.perf_counter() - begun)
        outcome.steps += 1
        outcome.distance = info["distance"]
        yield Moment(outcome.steps, picture, outcome.actions[-1], subgoal, outcome.distance)
        if outcome.steps < scene.steps and (reason := (yield None)) is not None:
            outcome.interrupted = reason
            break
    x, y = env.positions()["puck"]
    outcome.final_puck = (float(x), float(y))
    return outcome


class _Pilot:
    """Decides what to do next, from what is seen; notes plans in the outcome."""

    def __init__(
        self,
        subgoals: Subgoals,
        controller: Controller,
        segmenter: ColorSegmenter,
        config: EpisodeConfig,
        goal: Picture,
        outcome: Outcome,
        seed: int,
        surprise: Surprise | None,
        device: str,
    ) -> None:
        self._subgoals, self._controller, self._segmenter = subgoals, controller, segmenter
        self._config, self._outcome, self._seed, self._surprise = config, outcome, seed, surprise
        self._goal_picture, self._goal = goal, to_tensor(goal, device)[None]
        self._route = Route(
            segmenter, self._goal, config.subgoal_radius, config.goal_radius, config.max_steps_per_subgoal
        )
        self._warm_start: Tensor | None = None

    def finds_itself_done(self, seen: "_Seen") -> bool:
        """Switch subgoals and plan as the rules say; whether the goal is reached."""
        if not self._outcome.plans:
            self._plan(seen)
        now = seen.context.frames[:, -1]
        puck = self._segmenter.blob(now).centre[0]
        status: str = self._route.advance(puck)
        if status == "done":
            return True
        if status == "continue" and self._surprised(seen):
            status = "surprised"
        if status in _REASONS[self._config.replan] and (status == "missed" or not self._route.at_goal):
            self._plan(seen)
            self._route.advance(puck)
        if status != "continue":
            self._warm_start = None
        return False

    @property
    def subgoal(self) -> int:
        """Which picture of the plan in force is pursued."""
        return self._route.place

    def act(self, seen: "_Seen") -> Generator[RollOut, Tensor, Float[Tensor, "1 A"]]:
        """The next action."""
        randomness = self._randomness("action")
        step = yield from searching(
            self._controller, seen.context, self._route.subgoal, self._warm_start, randomness
        )
        self._outcome.pursued.append((len(self._outcome.plans) - 1, self._route.place))
        self._warm_start = step.warm_start
        return step.action

    def _plan(self, seen: "_Seen") -> None:
        outcome, begun = self._outcome, time.perf_counter()
        frames = self._subgoals(seen.context.frames[:, -1], self._goal, self._randomness("plan"))
        frames = to_tensor(to_bytes(frames), self._goal.device)
        outcome.plan_seconds.append(time.perf_counter() - begun)
        self._route.follow(frames)
        outcome.plans.append([(float(x), float(y)) for x, y in self._segmenter.blob(frames).centre])
        outcome.whole.append(self._segmenter.whole(frames).tolist())
        outcome.strips.append([*to_bytes(frames), self._goal_picture])

    def _surprised(self, seen: "_Seen") -> bool:
        """Whether the last action had a surprising outcome, if that matters."""
        asked = self._config.replan == "surprised" and not self._route.at_goal and self._outcome.steps > 0
        return asked and self._surprise is not None and self._surprise(seen.context) > self._config.surprise

    def _randomness(self, purpose: Purpose) -> torch.Generator:
        return torch.Generator().manual_seed(search_seed(self._seed, self._outcome.steps, purpose))
