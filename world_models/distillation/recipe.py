"""How an encoder is distilled."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from world_models.eye import EyeStage
from world_models.training.fit import FitConfig, NonNegativeFloat, PositiveInt, ShareBelowOne
from world_models.training.run import TrainingRun


class EncoderStage(FitConfig):
    """The encoder; ``batch`` counts pictures."""

    usual: ShareBelowOne = 0.3
    """Share of the pictures that show the usual world, so that nothing is lost there."""
    places: NonNegativeFloat = 0.1
    """Weight of the bodies' distance in pixels, for models that read some off their features."""


class DistillationRecipe(BaseModel):
    """One stage."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    held_out: PositiveInt = 200
    """Sequences, at the end, that figures are measured on."""
    encoder: EncoderStage = EncoderStage(steps=4000, batch=32, learning_rate=1e-3)
    eye: EyeStage = EyeStage()
    """Of models that have no eye yet; the field of view is the data's, unless it is given."""


class DistillationRun(TrainingRun):
    """One training run; see :class:`TrainingRun`."""

    model: str = "keyin-push"
    """Shipped model or model folder, a KeyIn or a Struct-VRNN; it stays as it is."""
    data: Path = Path("data/push-looks")
    """Pictures of the same moments in the usual world and in others (``envs.collect push-looks``)."""
    out: Path = Path("runs/robust")
    base: Path | None = None
    """A finished run of another model with the same encoder, whose robust one is used: models that share
    what they see with go on sharing it."""
    recipe: DistillationRecipe = DistillationRecipe()
