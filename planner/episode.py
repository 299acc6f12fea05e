"""One closed-loop episode: plan subgoals, servo to each in turn, switch, replan, stop (KeyIn, section 10)."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from envs.push import PushEnv
from envs.push_scene import Scene, path_length
from planner.costs import ColorSegmenter
from planner.servo import ServoStep
from world_models.frames import to_bytes, to_tensor
from world_models.interface import Context

Picture = NDArray[np.uint8]
Subgoals = Callable[
    [Float[Tensor, "1 C H W"], Float[Tensor, "1 C H W"], torch.Generator], Float[Tensor, "K C H W"]
]
"""(picture of now, picture of the goal, randomness) -> subgoals on the way; the goal is not among them."""

Surprise = Callable[[Context], float]
"""Everything seen so far -> pixels between the last picture and what was expected of the last action."""
Positions = list[tuple[float, float]]
Purpose = Literal["plan", "action"]


class Controller(Protocol):
    """The low level: the next action toward a subgoal picture.

    It is told what was seen and done, and no more: one with true dynamics has to ask its simulator itself.
    """

    def act(
        self,
        seen: Context,
        subgoal: Float[Tensor, "1 C H W"],
        warm_start: Float[Tensor, "1 L A"] | None,
        generator: torch.Generator,
    ) -> ServoStep:
        """The next action.

        Args:
            seen: every picture of the episode so far, and the actions between them.
            subgoal: where to go.
            warm_start: that of the previous step, or None after a change of subgoal.
            generator: randomness of the search, fresh: its initial seed says all about it.
        """
        ...


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


class _Route:
    """The subgoals still ahead; the goal picture is always the last of them."""

    def __init__(
        self, segmenter: ColorSegmenter, config: EpisodeConfig, goal: Float[Tensor, "1 C H W"]
    ) -> None:
        self._segmenter = segmenter
        self._config = config
        self._goal = goal
        self.follow(goal[:0])

    def follow(self, subgoals: Float[Tensor, "K C H W"]) -> None:
        """Take these subgoals, less those that show no object, and the goal."""
        frames = torch.cat([subgoals, self._goal])
        centres = self._segmenter.blob(frames).centre
        seen = ~centres.isnan().any(dim=-1)
        seen[-1] = True
        self._frames, self._centres, self._places = frames[seen], centres[seen], seen.nonzero()[:, 0]
        self._next, self._steps = 0, 0

    @property
    def subgoal(self) -> Float[Tensor, "1 C H W"]:
        return self._frames[self._next : self._next + 1]

    @property
    def place(self) -> int:
        """Which of the pictures it was given is the subgoal; those that show no object count."""
        return int(self._places[self._next])

    @property
    def at_goal(self) -> bool:
        return self._next == len(self._frames) - 1

    def advance(self, puck: Float[Tensor, "2"]) -> Literal["continue", "switched", "missed", "done"]:
        """Switch to the next subgoal if this one is reached or has taken too long."""
        status: Literal["continue", "switched", "missed"] = "continue"
        while not self.at_goal:
            reached = self._distance(puck) < self._config.subgoal_radius
            if not reached and self._steps < self._config.max_steps_per_subgoal:
                break
            status = "switched" if reached else "missed"
            self._next, self._steps = self._next + 1, 0
        if self.at_goal and self._distance(puck) < self._config.goal_radius:
            return "done"
        self._steps += 1
        return status

    def _distance(self, puck: Float[Tensor, "2"]) -> float:
        """Pixels to the current subgoal; infinite while the puck cannot be seen."""
        distance = float((puck - self._centres[self._next]).norm())
        return distance if np.isfinite(distance) else np.inf


_REASONS = {
    "never": (),
    "missed": ("missed",),
    "surprised": ("missed", "surprised"),
    "always": ("missed", "switched"),
}
"""What calls for a new plan."""


class _Seen:
    """Pictures and actions of the running episode."""

    def __init__(self, picture: Picture, actuators: int) -> None:
        self.context = Context(to_tensor(picture)[None, None], torch.zeros(1, 0, actuators))
        self.pictures = [picture]

    def add(self, action: Float[Tensor, "1 A"], picture: Picture) -> None:
        self.pictures.append(picture)
        frames, actions = self.context.frames, self.context.actions
        self.context = Context(
            torch.cat([frames, to_tensor(picture)[None, None]], 1),
            torch.cat([actions, action[:, None].cpu()], 1),
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
    """Run ``scene`` to the end: the goal reached in the picture, or ``scene.steps``.

    A goal picture that shows no object says nothing, and nothing is done.

    Decisions rest on pictures and past actions alone (subgoals are switched by the segmented puck), except
    where the controller has true dynamics; true positions only enter the returned distances. Subgoals are
    pictures of 8 bits, as they travel over a wire, and every search has a seed of its own
    (:func:`search_seed`): a step depends on the episode so far through pictures and warm start alone.

    Raises:
        ValueError: new plans are wanted after surprises, and nothing says what is one.
    """
    if config.replan == "surprised" and surprise is None:
        raise ValueError("only a learned servo is surprised; replan never, missed or always")
    picture, info = env.reset(options={"scene": scene})
    seen = _Seen(picture, env.action_space.shape[0])  # type: ignore[index]
    outcome = Outcome(info["distance"], info["distance"], 0, scene.puck, frames=seen.pictures)
    if bool(segmenter.blob(to_tensor(info["goal"])[None]).centre.isnan().any()):
        return outcome
    pilot = _Pilot(subgoals, controller, segmenter, config, info["goal"], outcome, seed, surprise)
    for _ in range(scene.steps):
        if pilot.finds_itself_done(seen):
            break
        begun = time.perf_counter()
        action = pilot.act(seen)
        picture, *_ = env.step(action[0].double().numpy())
        seen.add(action, picture)
        outcome.step_seconds.append(time.perf_counter() - begun)
        outcome.steps += 1
    x, y = env.positions()["puck"]
    outcome.final_puck = (float(x), float(y))
    outcome.distance = path_length(scene, np.array([x, y]))
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
    ) -> None:
        self._subgoals, self._controller, self._segmenter = subgoals, controller, segmenter
        self._config, self._outcome, self._seed, self._surprise = config, outcome, seed, surprise
        self._goal_picture, self._goal = goal, to_tensor(goal)[None]
        self._route = _Route(segmenter, config, self._goal)
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

    def act(self, seen: "_Seen") -> Float[Tensor, "1 A"]:
        """The next action."""
        self._outcome.pursued.append((len(self._outcome.plans) - 1, self._route.place))
        randomness = self._randomness("action")
        step = self._controller.act(seen.context, self._route.subgoal, self._warm_start, randomness)
        self._warm_start = step.warm_start
        return step.action

    def _plan(self, seen: "_Seen") -> None:
        outcome, begun = self._outcome, time.perf_counter()
        frames = self._subgoals(seen.context.frames[:, -1], self._goal, self._randomness("plan"))
        frames = to_tensor(to_bytes(frames))
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
