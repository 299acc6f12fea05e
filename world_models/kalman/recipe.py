"""How a Kalman model is trained: the configuration of its stages and of a run."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from world_models.kalman.config import KalmanConfig
from world_models.training.fit import FitConfig, PositiveFloat, PositiveInt
from world_models.training.run import TrainingRun


class Stage(FitConfig):
    """One stage."""

    most_objects: PositiveInt = 3
    """Only videos of up to so many objects are learned from."""
    drawn: PositiveInt = 10
    """Pictures per video that the renderer is asked for; drawn anew at every step."""
    kl_start: PositiveFloat = 1.0
    """Weight of the KL at the first step; the bound is eq. 7 where it is 1."""
    kl_end: PositiveFloat = 1.0
    """Weight at the last step; in between it changes by the same factor at every step."""

    def kl_weight(self, step: int) -> float:
        """Weight of the KL at a step."""
        share = step / max(1, self.steps - 1)
        return float(self.kl_start ** (1.0 - share) * self.kl_end**share)


class KalmanRecipe(BaseModel):
    """How a Kalman model learns."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: KalmanConfig = KalmanConfig()
    """Sizes."""
    held_out: PositiveInt = 500
    """Videos of every number of objects that are not learned from: the last ones."""
    frozen: Stage
    """Renderer and inference network alone: the state-space model stays as it starts."""
    single: Stage
    """Everything, made easier to begin with: one object only, so that what moves how is learned before which
    is which; or, in the paper, a weight of the KL that falls from 100 to 1."""
    joint: Stage
    """Everything, on all numbers of objects."""


class KalmanRun(TrainingRun):
    """One training run; see :class:`TrainingRun`."""

    data: Path = Path("data/cannonballs")
    """Folder of the videos, with one folder per number of objects."""
    out: Path = Path("runs/kalman-cannonballs")
    recipe: KalmanRecipe
    """The preset's settings, each of which can be changed."""
