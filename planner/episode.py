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
    replan: Literal["never", "missed", "always"] = "never"
    """Plan afresh from the current picture when a subgoal was given up, or (always) reached as well.

    Where the last subgoal was reached there is nothing left to plan: the goal is next.
    """


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
) -> Outcome:
    """Run ``scene`` to the end: the goal reached in the picture, or ``scene.steps``.

    A goal picture that shows no object says nothing, and nothing is done.

    Decisions rest on pictures and past actions alone (subgoals are switched by the segmented puck), except
    where the controller has true dynamics; true positions only enter the returned distances. Subgoals are
    pictures of 8 bits, as they travel over a wire, and every search has a seed of its own
    (:func:`search_seed`): a step depends on the episode so far through pictures and warm start alone.
    """
    picture, info = env.reset(options={"scene": scene})
    seen = _Seen(picture, env.action_space.shape[0])  # type: ignore[index]
    goal = to_tensor(info["goal"])[None]
    outcome = Outcome(info["distance"], info["distance"], 0, scene.puck, frames=seen.pictures)
    if bool(segmenter.blob(goal).centre.isnan().any()):
        return outcome
    route = _Route(segmenter, config, goal)

    def randomness(purpose: Purpose) -> torch.Generator:
        return torch.Generator().manual_seed(search_seed(seed, outcome.steps, purpose))

    def plan() -> None:
        begun = time.perf_counter()
        frames = subgoals(to_tensor(picture)[None], goal, randomness("plan"))
        frames = to_tensor(to_bytes(frames))
        outcome.plan_seconds.append(time.perf_counter() - begun)
        route.follow(frames)
        outcome.plans.append([(float(x), float(y)) for x, y in segmenter.blob(frames).centre])
        outcome.whole.append(segmenter.whole(frames).tolist())
        outcome.strips.append([*to_bytes(frames), info["goal"]])

    plan()
    warm_start: Tensor | None = None
    for _ in range(scene.steps):
        puck = segmenter.blob(to_tensor(picture)[None]).centre[0]
        status = route.advance(puck)
        if status == "done":
            break
        missed = status == "missed" and config.replan != "never"
        if missed or (status == "switched" and config.replan == "always" and not route.at_goal):
            plan()
            route.advance(puck)
        outcome.pursued.append((len(outcome.plans) - 1, route.place))
        begun = time.perf_counter()
        warm_start = warm_start if status == "continue" else None
        step = controller.act(seen.context, route.subgoal, warm_start, randomness("action"))
        picture, *_ = env.step(step.action[0].double().numpy())
        seen.add(step.action, picture)
        outcome.step_seconds.append(time.perf_counter() - begun)
        warm_start = step.warm_start
        outcome.steps += 1
    x, y = env.positions()["puck"]
    outcome.final_puck = (float(x), float(y))
    outcome.distance = path_length(scene, np.array([x, y]))
    return outcome
