"""Who acts in an environment that nothing is known about but what models have learned."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from envs.gym.world import GymWorld
from planner.evaluation.evaluation import Proposer, Team
from planner.evaluation.settings import Settings
from planner.goals import Goal, SameEmbedding, find_objects
from planner.loaded import ReadyPlanner
from planner.loading import load_planner, load_world_model
from planner.low_levels.learned import control_by_keypoints
from planner.low_levels.low_level import LowLevel, RandomActions, Request, uniform
from planner.pursuit import EpisodeConfig
from planner.search.servo import Acting, ServoStep
from planner.subgoals import keyin_subgoals, path_subgoals
from world_models.goals import EmbeddingGoal
from world_models.keyin.model import KeyIn

PLANNERS: Mapping[str, str] = {
    "keyin": "a plan of KeyIn, followed frame by frame unless told otherwise",
    "flat": "straight to the goal picture",
    "expert": "what was done when the goal was recorded",
    "random": "uniform actions",
}


@dataclass(frozen=True)
class Expert(LowLevel):
    """Does again what was done on the way to the goal."""

    world: GymWorld

    def acting(self, request: Request) -> Acting:
        """The recorded action of this step."""
        yield from ()
        action = torch.from_numpy(self.world.recorded_action(request.seen.actions.shape[1]))[None]
        return ServoStep(action, action[:, None], torch.full((1,), torch.nan), action[:, None])


UNLEARNED: Mapping[str, Callable[[GymWorld], Team]] = {
    "expert": lambda world: Team(Expert(world)),
    "random": lambda world: Team(RandomActions(world.action_size, uniform)),
}
"""Those that need no model."""


def make_team(
    planner: str, world: GymWorld, model: str, dynamics: str, settings: Settings, device: str
) -> Team:
    """Planner, low level and rules of one of the :data:`PLANNERS`.

    Raises:
        ValueError: a model is missing, or cannot do what is asked of it here.
    """
    if planner in UNLEARNED:
        return UNLEARNED[planner](world)
    ready = load_world_model(dynamics, device)
    if ready.image_size != world.image_size:
        raise ValueError(f"{dynamics} sees {ready.image_size} pixels, the data has {world.image_size}")
    low_level = control_by_keypoints(ready, world.action_size, settings.servo)
    if planner == "flat":
        return Team(low_level, device=device)
    planning = load_planner(model, device, settings.hierarchy)
    if planning.image_size != world.image_size:
        raise ValueError(f"{model} sees {planning.image_size} pixels, the data has {world.image_size}")
    goal, search = _goal_of(planning), planning.planner.config
    follow = settings.episode.follow
    subgoals = (path_subgoals if follow else keyin_subgoals)(planning.planner)
    imagined = search.cem.candidates * search.cem.iterations * search.keyframes
    proposer = Proposer(lambda world, start: subgoals, search.keyframes, lambda shown: imagined)
    return Team(low_level, proposer, _rules(settings.episode, planning), device, goal=goal)


def _goal_of(planning: ReadyPlanner) -> Goal:
    """What the planner is asked for, as a goal of the closed loop."""
    wanted, model = planning.goal, planning.planner.model
    if isinstance(wanted, EmbeddingGoal):
        assert isinstance(model, KeyIn)
        return SameEmbedding(wanted, model)
    return find_objects(wanted)


def _rules(given: EpisodeConfig, planning: ReadyPlanner) -> EpisodeConfig:
    """Subgoals count as reached as was calibrated, unless the radius is given; none is passed earlier."""
    if not isinstance(planning.goal, EmbeddingGoal) or given.subgoal_radius is not None:
        return given
    near = planning.goal.reached
    return given.model_copy(update={"subgoal_radius": near, "passing_radius": near})
