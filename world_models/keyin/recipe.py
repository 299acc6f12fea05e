"""How a KeyIn model is trained: the configuration of its stages."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, model_validator

from world_models.eye import EyeStage
from world_models.keyin.config import KeyInConfig
from world_models.keyin.own.calibration import CalibrationStage
from world_models.keyin.published.stage import DiscoveryStage
from world_models.keyin.reader.training import ReaderStage
from world_models.svg.latent_training import SVGStage
from world_models.training.fit import FitConfig, NonNegativeFloat, PositiveFloat, PositiveInt, Share
from world_models.training.run import TrainingRun

STAGES = (
    "autoencoder",
    "interpolator",
    "coder",
    "surprise",
    "teacher",
    "predictor",
    "soft",
    "discovery",
    "reader",
)
"""In order; each is a field of the recipe."""


class AutoencoderStage(FitConfig):
    """Pictures <-> embeddings."""

    frames_per_sequence: PositiveInt = 4
    """How many random frames of each sequence are kept in memory."""
    noise: NonNegativeFloat = 0.1
    """Standard deviation added to embeddings, so that near misses still decode."""
    stills_first: Share = 0.2
    """Share of the steps, at the beginning, that see stills only: pictures of what does not move in a
    sequence. Thin things at rest (the wall) are learned from them in a tenth of the time."""
    stills_share: Share = 0.25
    """Share of stills in later batches."""


class TeacherStage(BaseModel):
    """Where the keyframes of the training sequences are."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: Literal["segmentation", "constant", "even", "random", "surprise"] = "segmentation"
    """``segmentation`` is KeyIn: the cheapest segmentation (see the model's ``segmentation``). ``constant``
    keeps keyframes ``constant`` frames apart (Jumpy), with countdown the last one at the end of the sequence;
    ``even`` has them at equal shares of what is left of it. ``random`` draws their times. ``surprise`` puts
    them where a sequential model is surprised (section 9, Algorithm 3)."""
    rounds: PositiveInt = 5
    """How often the distribution of segment lengths is estimated and used in turn."""
    constant: PositiveInt = 5
    """Frames between keyframes for ``constant``."""


class PredictorStage(FitConfig):
    """Keyframes under the teacher's segmentation."""

    beta: NonNegativeFloat = 1.0
    """Weight of the KL in nats against the squared embedding error, after a fifth of the steps."""
    offset_weight: NonNegativeFloat = 0.3
    """Weight of the offsets' cross-entropy in nats."""
    cut: Share = 0.0
    """Share of the sequences that begin at a random frame instead of the first, for models with countdown:
    plans are also made in the middle of an episode."""
    counts: tuple[NonNegativeFloat, ...] = ()
    """How often plans of 1, 2, ... M keyframes are learned, for models with countdown; all alike if empty."""


class SoftStage(FitConfig):
    """Algorithm 2 without teacher, through the frozen interpolator; zero steps leave it out."""

    beta: NonNegativeFloat = 1.0
    """Weight of the KL in nats."""
    interpolation_weight: NonNegativeFloat = 1.0
    """Weight of the sequence loss against the keyframe loss."""


class ObjectColor(BaseModel):
    """The thing whose position the figures are about, found by its colour."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    color: tuple[Share, Share, Share] = (0.93, 0.14, 0.87)
    """Red, green, blue."""
    tolerance: PositiveFloat = 0.4
    """Largest Euclidean distance in RGB."""


class KeyInRecipe(BaseModel):
    """All stages, in order. The last ``held_out`` sequences are never trained on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: KeyInConfig
    held_out: PositiveInt
    autoencoder: AutoencoderStage
    interpolator: FitConfig
    coder: FitConfig
    surprise: SVGStage
    teacher: TeacherStage = TeacherStage()
    predictor: PredictorStage
    soft: SoftStage
    discovery: DiscoveryStage | None = None
    """How published models learn, in the place of all stages between the interpolator and the reader."""
    reader: ReaderStage | None = None
    """What searches for plans ask where things are; without it they decode pictures."""
    calibration: CalibrationStage | None = None
    """How the goal of a model without a colour is calibrated; None for models with one, or that only
    predict."""
    eye: EyeStage = EyeStage()
    object: ObjectColor = ObjectColor()

    @model_validator(mode="after")
    def _infers_what_it_is_taught(self) -> "KeyInRecipe":
        if self.model.published != (self.discovery is not None):
            raise ValueError("discovery is for published models, which need it")
        if self.model.published:
            return self
        if (self.model.segmentation is None) == (self.teacher.method == "segmentation"):
            raise ValueError(
                "model.segmentation goes with teacher.method 'segmentation', and is None otherwise"
            )
        if self.reader is not None and self.model.goal is None:
            raise ValueError("reader is None for a model without a goal: there is nothing to read")
        if self.calibration is not None and (self.model.goal is not None or self.model.countdown):
            raise ValueError("calibration is None for a model with a goal, or with countdown")
        if self.model.countdown and self.soft.steps:
            raise ValueError("soft.steps is 0 for a model with countdown")
        counts = self.predictor.counts
        if counts and (len(counts) != self.model.keyframes or not sum(counts)):
            raise ValueError(f"predictor.counts must be {self.model.keyframes} numbers, not all of them 0")
        if not self.model.countdown and (self.predictor.cut or self.teacher.method in ("even", "random")):
            raise ValueError("predictor.cut, and teacher.method 'even' and 'random', need model.countdown")
        return self


class KeyInRun(TrainingRun):
    """One training run; see :class:`TrainingRun`."""

    data: Path = Path("data/push")
    """Folder of demonstrations (``python -m envs.collect`` makes one)."""
    out: Path = Path("runs/keyin-push")
    base: Path | None = None
    """A finished run on the same data whose autoencoder, embeddings and interpolator are used instead of
    training new ones: how models that are compared get the same pictures."""
    autoencoder: str | None = None
    """A shipped model or model folder whose autoencoder is used instead of training one: how models of other
    data get the same pictures."""
    recipe: KeyInRecipe
    """The preset's settings, each of which can be changed."""
