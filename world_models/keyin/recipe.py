"""How a KeyIn model is trained: the configuration of its stages."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, model_validator

from world_models.keyin.config import KeyInConfig
from world_models.svg.latent_training import SVGStage
from world_models.training.fit import FitConfig, NonNegativeFloat, PositiveFloat, PositiveInt, Share


class AutoencoderStage(FitConfig):
    """Pictures <-> embeddings.

    Attributes:
        frames_per_sequence: how many random frames of each sequence are kept in memory.
        noise: standard deviation added to embeddings, so that near misses still decode.
        stills_first: share of the steps, at the beginning, that see stills only: pictures of what does not
            move in a sequence. Thin things at rest (the wall) are learned from them in a tenth of the time.
        stills_share: share of stills in later batches.
    """

    frames_per_sequence: PositiveInt = 4
    noise: NonNegativeFloat = 0.1
    stills_first: Share = 0.2
    stills_share: Share = 0.25


class TeacherStage(BaseModel):
    """Where the keyframes of the training sequences are.

    Attributes:
        method: ``segmentation`` is KeyIn: the cheapest segmentation (see the model's ``segmentation``).
            ``constant`` keeps keyframes ``constant`` frames apart (Jumpy). ``surprise`` puts them where a
            sequential model is surprised (section 9, Algorithm 3).
        rounds: how often the distribution of segment lengths is estimated and used in turn.
        constant: frames between keyframes for ``constant``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: Literal["segmentation", "constant", "surprise"] = "segmentation"
    rounds: PositiveInt = 5
    constant: PositiveInt = 5


class PredictorStage(FitConfig):
    """Keyframes under the teacher's segmentation.

    Attributes:
        beta: weight of the KL in nats against the squared embedding error, after a fifth of the steps.
        offset_weight: weight of the offsets' cross-entropy in nats.
    """

    beta: NonNegativeFloat = 1.0
    offset_weight: NonNegativeFloat = 0.3


class SoftStage(FitConfig):
    """Algorithm 2 without teacher, through the frozen interpolator; zero steps leave it out.

    Attributes:
        beta: weight of the KL in nats.
        interpolation_weight: weight of the sequence loss against the keyframe loss.
    """

    beta: NonNegativeFloat = 1.0
    interpolation_weight: NonNegativeFloat = 1.0


class ObjectColor(BaseModel):
    """The thing whose position the figures are about, found by its colour.

    Attributes:
        color: red, green, blue.
        tolerance: largest Euclidean distance in RGB.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    color: tuple[Share, Share, Share] = (0.93, 0.14, 0.87)
    tolerance: PositiveFloat = 0.4


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
    object: ObjectColor = ObjectColor()

    @model_validator(mode="after")
    def _infers_what_it_is_taught(self) -> "KeyInRecipe":
        if (self.model.segmentation is None) == (self.teacher.method == "segmentation"):
            raise ValueError(
                "model.segmentation goes with teacher.method 'segmentation', and is None otherwise"
            )
        return self
