"""How a control model practises."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from envs.dmc.tasks import find_task
from planner.collect import EPISODES
from world_models.struct_vrnn.config import StructVRNNConfig
from world_models.struct_vrnn.control.config import Part
from world_models.struct_vrnn.control.detector.training import NO_DYNAMICS, DetectorRecipe
from world_models.struct_vrnn.control.presets import RECIPES
from world_models.struct_vrnn.control.recipe import ControlRecipe
from world_models.struct_vrnn.presets import CONTROL
from world_models.training.fit import (
    PositiveFloat,
    PositiveInt,
    Share,
    ShareBelowOne,
)
from world_models.training.method import RUNS
from world_models.training.run import TrainingRun

Episodes = Annotated[int, Field(gt=0, multiple_of=EPISODES)]

UPDATES = 0.4
"""Updates for every recorded step ..."""
UPDATES_OF: Mapping[str, float] = MappingProxyType({"walker-stand": 0.25, "walker-walk": 0.25})
"""... and those of tasks whose steps are half as long."""


class PracticeRecipe(BaseModel):
    """What is recorded in a round, and what is learned from it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    first: Episodes = 10
    """Episodes of random actions before the first round; a multiple of 5, for that many make a shard."""
    episodes: Episodes = 5
    """Episodes that the model records after every round but the last; likewise."""
    candidates: PositiveInt = 64
    """Sequences of actions that the search compares while episodes are recorded."""
    disturbance: Share = 0.7
    """Standard deviation of what is added to recorded actions, relative to the policy's noise ..."""
    least_disturbance: Share = 0.1
    """... and the least."""
    adapted: tuple[PositiveInt, ...] = (5, 12)
    """Rounds before which the detector goes on learning, on all pictures so far; the first round is 0."""
    detector: DetectorRecipe = DetectorRecipe()
    updates: PositiveFloat | None = None
    """Updates for every recorded step; None is the task's own number."""
    reads: tuple[Part, ...] | None = None
    """What of a picture enters; None is the task's own choice."""
    discount: ShareBelowOne | None = None
    """What a reward counts for after one more step; None is the task's own number."""
    width: PositiveInt | None = None
    """Units of every hidden layer; None is the model's own number."""
    critics: PositiveInt | None = None
    """Value heads; None is the model's own number."""


class Practice(TrainingRun):
    """Rounds of recording and learning on one task, from nothing; see :class:`TrainingRun`."""

    task: str = "cartpole-balance"
    """The task."""
    rounds: Annotated[int, Field(ge=1)] = 20
    """How often the model learns; it records episodes in between."""
    out: Path = RUNS / "dmc-control"
    recipe: PracticeRecipe = PracticeRecipe()

    def updates(self) -> list[int]:
        """Updates of every round, in proportion to the steps recorded right before it.

        Raises:
            ValueError: there is no such task.
        """
        each = self.recipe.updates or UPDATES_OF.get(self.task, UPDATES)
        length = find_task(self.task).steps
        recorded = [self.recipe.first, *[self.recipe.episodes] * (self.rounds - 1)]
        return [max(1, round(each * length * episodes)) for episodes in recorded]

    def control(self) -> ControlRecipe:
        """How the model learns: by the task's recipe, with what this run has otherwise. Raises likewise."""
        wanted = self.recipe.model_dump(include={"reads", "discount", "width", "critics"}, exclude_none=True)
        recipe = RECIPES[find_task(self.task).name]
        sizes = recipe.sizes.model_copy(update=wanted)
        return recipe.model_copy(update={"steps": sum(self.updates()), "sizes": sizes})

    def vision(self) -> StructVRNNConfig:
        """Sizes of the detector: those of the domain's Struct-VRNN, without its dynamics. Raises likewise."""
        task = find_task(self.task)
        model = CONTROL[task.domain].model
        return model.model_copy(update={"tasks": (task.name,), **NO_DYNAMICS})
