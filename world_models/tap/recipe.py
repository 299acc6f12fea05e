"""How TAP is trained: the configuration of its stage and of a run."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from world_models.keyin.recipe import ObjectColor
from world_models.training.fit import FitConfig, NonNegativeFloat, PositiveFloat
from world_models.training.run import TrainingRun


class TapStage(FitConfig):
    """How a TAP model learns."""

    beta: NonNegativeFloat = 1.0
    """Weight of the KL in nats against the squared embedding error."""
    preference: PositiveFloat = 0.25
    """Standard deviation of the preference for the middle of a segment, as a share of the segment: the
    truncated Gaussian w(t) of the generalised minimum."""


class TapRecipe(BaseModel):
    """How TAP learns; everything about pictures and data is the base's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    latent: int = 4
    tap: TapStage
    object: ObjectColor = ObjectColor()
    """The thing whose place makes a picture a goal."""


class TapRun(TrainingRun):
    """One training run; see :class:`TrainingRun`."""

    data: Path = Path("data/push")
    """Folder of demonstrations."""
    base: Path = Path("runs/keyin-push")
    """A finished KeyIn run on the same data, whose autoencoder and embeddings are used."""
    out: Path = Path("runs/tap-push")
    recipe: TapRecipe
    """The preset's settings, each of which can be changed."""
