"""Models that are ready to be used, with what a service has to say about them."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from planner.figures import Figure
from planner.search.hierarchy import Planner
from world_models.eye import Eye
from world_models.goals import EmbeddingGoal, StoredGoal
from world_models.kalman.model import Kalman
from world_models.segmenter import ColorSegmenter, ObjectGoal, Wanted
from world_models.struct_vrnn.control.model import Control
from world_models.struct_vrnn.model import StructVRNN
from world_models.struct_vrnn.rewards.head import RewardHead
from world_models.svg import SVG


@dataclass(frozen=True)
class ReadyModel:
    """A model with its weights and what a service has to say about it.

    ``sha256`` is that of the model's manifest and names all its files exactly, ``version`` is its beginning,
    ``weights_sha256`` names the weights alone; ``image_size`` is the side of the square pictures it takes.
    """

    name: str
    version: str
    sha256: str
    weights_sha256: str
    image_size: int
    figures: Mapping[str, Figure] = field(default_factory=dict, kw_only=True)
    """How well it was measured to do, by task."""
    eye: Eye = field(default_factory=Eye, kw_only=True)
    """What pictures of the world pass through before the model sees them."""


@dataclass(frozen=True)
class ReadyPlanner(ReadyModel):
    """A planner."""

    planner: Planner
    goal: Wanted | EmbeddingGoal
    """What it can be asked for."""

    @property
    def follows(self) -> bool:
        """Whether its plans are followed frame by frame unless told otherwise, up to the keyframe where they
        reach the goal.
        """
        return isinstance(self.goal, EmbeddingGoal)

    @property
    def segmenter(self) -> ColorSegmenter:
        """Finds the thing that is to be moved, the first of several.

        Raises:
            ValueError: the model is asked for whole pictures, not for things.
        """
        return self._object.segmenter

    @property
    def thing(self) -> str:
        """What that thing is called. Raises likewise."""
        return self._object.body

    @property
    def _object(self) -> ObjectGoal:
        if isinstance(self.goal, EmbeddingGoal):
            raise ValueError(f"{self.name} looks for no object: it is asked for whole pictures")
        return self.goal.objects[0]


@dataclass(frozen=True)
class ReadyHead:
    """A reward head; ``sha256`` is that of its manifest."""

    head: RewardHead
    sha256: str


@dataclass(frozen=True)
class ReadyWorldModel(ReadyModel):
    """A Struct-VRNN, and the reward heads that read its states by task."""

    world: StructVRNN
    heads: Mapping[str, ReadyHead]
    goal: StoredGoal | None = field(default=None, kw_only=True)
    """What it can be asked for beside rewards and what its configuration names; None for nothing."""


@dataclass(frozen=True)
class ReadyControl(ReadyModel):
    """A control model, and the Struct-VRNN that it reads."""

    world: StructVRNN
    control: Control


@dataclass(frozen=True)
class ReadySVG(ReadyModel):
    """An SVG model of pictures."""

    world: SVG


@dataclass(frozen=True)
class ReadyKalman(ReadyModel):
    """A Kalman model, which follows objects."""

    world: Kalman


Predictor = ReadyWorldModel | ReadySVG | ReadyKalman
"""What predicts frames."""
Acting = ReadyWorldModel | ReadyControl
"""What can act."""
Ready = ReadyPlanner | Predictor | ReadyControl

M = TypeVar("M", bound=ReadyModel)


def best_first(models: Iterable[M], task: str) -> list[M]:
    """Models by their figures in a task, the best first; those without figures follow in their order."""

    def value(model: M) -> float:
        return model.figures[task].value if task in model.figures else -math.inf

    return sorted(models, key=value, reverse=True)
