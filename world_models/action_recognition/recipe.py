"""How a classifier learns, and one training run."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from world_models.training.fit import PositiveFloat, PositiveInt, ShareBelowOne
from world_models.training.run import TrainingRun


class ActionRecipe(BaseModel):
    """How a classifier learns: the numbers of section S2.2."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    width: PositiveInt = 128
    dropout: ShareBelowOne = 0.25
    epochs: PositiveInt = 100
    batch: PositiveInt = 32
    learning_rate: PositiveFloat = 1e-2
    test: ShareBelowOne = 0.24
    """Share of the sequences that is kept to test on; 279 of 1,160 in the paper."""


class ActionRun(TrainingRun):
    """One training run; see :class:`TrainingRun`."""

    features: Path = Path("data/action-features.npz")
    """npz file of a labelled set."""
    out: Path = Path("runs/action-recognition")
    recipe: ActionRecipe = ActionRecipe()
    """The settings."""
