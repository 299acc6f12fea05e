"""Everything that fixes the shape of a KeyIn model; stored with its weights."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from world_models.segmenter import PUCK_GOAL, Wanted
from world_models.training.fit import NonNegativeFloat, PositiveInt


class Segmentation(BaseModel):
    """What the keyframes of a known sequence cost; the cheapest ones are inferred.

    Errors are squared errors of embeddings, summed over their F numbers; information is in nats.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    interpolation: NonNegativeFloat = 1.0
    """Weight of the error of interpolating a segment."""
    object: NonNegativeFloat = 0.0
    """Weight of the object's squared distances, in pixels, from the straight line between its places at the
    segment's two ends, whenever it is where along it."""
    straight: NonNegativeFloat = 3.0
    """A segment is straight if the object keeps within so many pixels of that line; how many keyframes are
    needed follows from it."""
    floor: NonNegativeFloat = 0.0
    """An interpolation error e costs log(1 + e / floor), so that small errors count where large ones say no
    more; 0 keeps errors as they are."""
    exact: bool = True
    """Use all M keyframes (else at most M)."""
    price: NonNegativeFloat = 0.0
    """Cost of every keyframe."""
    coding: NonNegativeFloat = 1.0
    """Weight of predicting a keyframe from the one before it, error + ``coding_beta`` nats."""
    coding_beta: NonNegativeFloat = 1.0
    timing: NonNegativeFloat = 0.7
    """Weight of a segment's length, in nats under the lengths' own distribution."""
    delay: NonNegativeFloat = 0.0
    """Cost per frame that a keyframe comes later; settles ties between neighbouring frames."""


class KeyInConfig(BaseModel):
    """Sizes of a KeyIn model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["keyin"] = "keyin"
    context: PositiveInt = 1
    """T, frames that are seen before the first prediction."""
    frames: PositiveInt = 30
    """N, frames to predict after the context."""
    keyframes: PositiveInt = 6
    """M, the most keyframes in a sequence."""
    max_offset: PositiveInt = 6
    """S, the most frames from one keyframe to the next."""
    longest_segment: PositiveInt = 6
    """Most frames that the interpolator can fill in one go, at least S."""
    image_size: PositiveInt = 64
    """Side of the square pictures in pixels."""
    widths: Annotated[tuple[PositiveInt, ...], Field(min_length=2)] = (24, 48, 64)
    """Channels of the encoder's convolutions, at least two."""
    keypoints: PositiveInt = 48
    """Positions that the encoder reads off."""
    blobs: PositiveInt = 32
    """Soft shapes from which the decoder paints."""
    embedding: PositiveInt = 96
    """Size F of a frame's embedding."""
    countdown: bool = False
    """Tell every keyframe how many are left: one model for any number of keyframes up to M, from any moment
    of a sequence on."""
    latent: PositiveInt = 4
    """Size Z of one decision."""
    hidden: PositiveInt = 192
    """Width of all recurrent layers."""
    dense: PositiveInt = 384
    """Width of the autoencoder's linear layers."""
    segmentation: Segmentation | None = Segmentation()
    """How the keyframes of a known sequence are inferred; None for models whose keyframes do not follow from
    what they predict (constant offsets, surprise)."""
    prior: Literal["standard", "learned"] = "learned"
    """``standard`` is the paper's N(0, I); ``learned`` predicts mean and variance from the past."""
    published: bool = False
    """The paper's own networks (:mod:`world_models.keyin.published`): keyframes of a known sequence are found
    by attention, an LSTM with a latent interpolates."""
    location: bool = False
    """Of published models: attention is also told how likely the keyframe before is where; not in the
    paper."""
    goal: Wanted | None = PUCK_GOAL
    """What plans can be searched for; None for models that only predict. Models older than this setting are
    of the puck."""

    @model_validator(mode="after")
    def _fits(self) -> "KeyInConfig":
        if not self.keyframes <= self.frames <= self.keyframes * self.max_offset:
            raise ValueError(
                f"{self.keyframes} keyframes at most {self.max_offset} apart cannot reach {self.frames}"
            )
        if self.longest_segment < self.max_offset:
            raise ValueError(
                f"longest_segment {self.longest_segment} must be at least max_offset {self.max_offset}"
            )
        if self.countdown and self.max_offset < self.frames:
            raise ValueError(
                f"with countdown a single keyframe may be the last frame: max_offset must be {self.frames}"
            )
        if self.published and (self.segmentation or self.countdown or self.prior != "standard"):
            raise ValueError("published models have no segmentation and no countdown, and a standard prior")
        if self.location and not self.published:
            raise ValueError("location is for published models")
        settings = self.segmentation
        if settings is not None and not settings.interpolation + settings.coding + settings.object:
            raise ValueError("segmentation needs a weight of interpolation, coding or object above 0")
        if settings is not None and settings.object and self.goal is None:
            raise ValueError("segmentation.object needs a goal, which says how the object is found")
        if (
            settings is not None
            and self.countdown
            and (settings.timing or settings.floor or not settings.exact)
        ):
            raise ValueError("with countdown, segmentation is exact, and has no timing and no floor")
        if self.image_size % 2 ** len(self.widths):
            raise ValueError(f"image_size {self.image_size} cannot be halved {len(self.widths)} times")
        return self

    @property
    def infers(self) -> bool:
        """Whether keyframes of known sequences can be inferred."""
        return self.published or self.segmentation is not None

    @property
    def knows_timing(self) -> bool:
        """Whether the lengths of segments have a distribution that segmentations are priced by."""
        return self.segmentation is not None and not self.countdown

    @property
    def has_coder(self) -> bool:
        """Whether segmentations are priced by what it takes to predict a keyframe."""
        return self.segmentation is not None and (self.segmentation.coding > 0 or not self.countdown)

    @property
    def counts(self) -> bool:
        """Whether the model says how many keyframes a task needs."""
        return self.countdown and self.goal is not None
