"""How an ED-LSTM is trained: the configuration of its stages and of a run."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from world_models.kalman.ed_lstm.config import EDLSTMConfig
from world_models.training.fit import FitConfig, PositiveInt
from world_models.training.run import TrainingRun

COUNTS = (1, 2, 3)
"""Numbers of balls, all learned by one model; each has its own folder of videos."""
STAGES = {"teacher-forced": "true pictures as inputs", "free-running": "its own pictures as inputs"}
"""In order, and what they do; each is a field of the recipe."""


def best_stage(errors: Mapping[str, Sequence[float]]) -> str:
    """The stage with the least error over all numbers of balls."""
    return min(errors, key=lambda stage: sum(errors[stage]))


class EDLSTMRecipe(BaseModel):
    """How the baseline learns."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: EDLSTMConfig = EDLSTMConfig()
    """Sizes."""
    held_out: PositiveInt = 500
    """Videos of every number of balls that are not learned from: the last ones."""
    seen: PositiveInt = 5
    """Frames that are always given; later ones are the model's own in the second stage."""
    teacher_forced: FitConfig
    """The paper's training."""
    free_running: FitConfig
    """Goes on from there and trains what is tested."""


class EDLSTMRun(TrainingRun):
    """One training run; see :class:`TrainingRun`."""

    data: Path = Path("data/cannonballs")
    """Folder of the videos, with one folder per number of balls."""
    out: Path = Path("runs/ed-lstm-cannonballs")
    recipe: EDLSTMRecipe
    """The preset's settings, each of which can be changed."""
