"""Closed-loop episodes in simulated worlds: what the engine does for one."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from jaxtyping import UInt8

from envs.push.scene import Scene
from planner.episode import Outcome, episode
from planner.goals import make_goal
from planner.loaded import Acting, ReadyPlanner, ReadyWorldModel
from planner.low_levels.learned import control_by_place, control_for_reward
from planner.low_levels.low_level import true_servo
from planner.pursuit import Actor, one_stream, own_seeds, search_seed
from server.engine.task import Work, go_on
from server.environments import Worlds
from server.episodes.schemas import EpisodeStop
from server.http.pictures import Picture
from server.plans.task import PlanOutcome, PlanTask, plan_task
from server.scenes.task import scene_of
from world_models.frames import to_tensor

_PLANNING = 20
"""A plan takes about as long as so many steps."""


@dataclass(frozen=True)
class PushOutcome:
    """An episode of pushing.

    ``made`` is the plan if it was made here, with the task it was made for; ``subgoals`` are the plan's
    pictures either way.
    """

    driven: Outcome
    stop_reason: EpisodeStop
    scene: Scene
    subgoals: UInt8[np.ndarray, "L H W 3"]
    made: tuple[PlanTask, PlanOutcome] | None


@dataclass(frozen=True)
class RewardOutcome:
    """An episode of a task of DM Control."""

    driven: Outcome
    stop_reason: EpisodeStop


@dataclass(frozen=True)
class PlanInForce:
    """A plan that was made before: its id and its pictures."""

    id: str
    subgoals: UInt8[np.ndarray, "L H W 3"]


@dataclass(frozen=True)
class PushEpisodeTask:
    """Push the object through the subgoals of a plan, or of one that ``plan`` is to make.

    The scene is drawn with ``seed`` or read off ``pictures`` (start, goal). Without a ``model`` the servo
    searches in the simulator.
    """

    worlds: Worlds
    environment: str
    seed: int | None
    pictures: tuple[Picture, Picture] | None
    plan: PlanInForce | ReadyPlanner
    model: ReadyWorldModel | None
    episode_seed: int
    steps: int

    kind: ClassVar[str] = "episode"

    @property
    def who(self) -> str:
        """Who acts."""
        return self.environment if self.model is None else self.model.name

    @property
    def amount(self) -> float:
        """Steps."""
        return self.steps + (_PLANNING if isinstance(self.plan, ReadyPlanner) else 0)

    @property
    def least(self) -> float:
        """The plan, or a step."""
        return (self.amount - self.steps + 1) / self.amount

    def work(self, device: str) -> Work[PushOutcome]:
        """Drive; stopped, it answers what was done. Raises UnreadableScene, NoObject, Interrupted."""
        yield from go_on()
        with self.worlds.push.borrow(self.environment) as world:
            yield from go_on()
            scene = replace((yield from scene_of(world, self.seed, self.pictures)), steps=self.steps)
            yield from go_on()
            start, goal = world.begin(scene)
            yield from go_on()
            made, subgoals = None, self.plan.subgoals if isinstance(self.plan, PlanInForce) else None
            if isinstance(self.plan, ReadyPlanner):
                made = yield from self._make_plan(self.plan, start, goal, device)
                subgoals = made[1].pictures
            assert subgoals is not None
            # True dynamics are computed on the CPU.
            place = "cpu" if self.model is None else device
            # The goal picture stands in the place of the last subgoal.
            ahead = to_tensor(subgoals[:-1], place)
            low_level = true_servo(world) if self.model is None else control_by_place(self.model)
            actor = Actor(low_level, lambda *_: ahead, make_goal(world.goal), device=place)
            driven = yield from episode(world, start, goal, scene.steps, actor, own_seeds(self.episode_seed))
        return PushOutcome(driven, _stop(driven), scene, subgoals, made)

    def _make_plan(
        self, planner: ReadyPlanner, start: Picture, goal: Picture, device: str
    ) -> Work[tuple[PlanTask, PlanOutcome]]:
        seed = search_seed(self.episode_seed, 0, "plan")
        task = plan_task(planner, start, goal, seed=seed, samples=None, iterations=None)
        return task, (yield from task.work(device))


@dataclass(frozen=True)
class RewardEpisodeTask:
    """Earn rewards in a task of DM Control."""

    worlds: Worlds
    environment: str
    seed: int
    model: Acting
    episode_seed: int
    steps: int

    kind: ClassVar[str] = "episode"

    @property
    def who(self) -> str:
        """Who acts, and where: looking ahead takes longer in some tasks."""
        return f"{self.model.name} {self.environment}"

    @property
    def amount(self) -> float:
        """Steps."""
        return self.steps

    @property
    def least(self) -> float:
        """A step."""
        return 1 / self.steps

    def work(self, device: str) -> Work[RewardOutcome]:
        """Act; stopped, it answers what was done. Raises Interrupted."""
        yield from go_on()
        with self.worlds.dmc.borrow(self.environment) as world:
            yield from go_on()
            picture, _ = world.env.reset(seed=self.seed)
            yield from go_on()
            actor = Actor(control_for_reward(self.model, self.environment), device=device, eye=self.model.eye)
            randomness = one_stream(self.episode_seed)
            driven = yield from episode(world, picture, None, self.steps, actor, randomness)
        return RewardOutcome(driven, _stop(driven))


def _stop(driven: Outcome) -> EpisodeStop:
    # A goal picture that shows nothing leaves nothing to do: the episode is over at once.
    if driven.stop == "world":
        return "steps"
    return "goal" if driven.stop == "unseen" else driven.stop
