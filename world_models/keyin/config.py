"""Everything that fixes the shape of a KeyIn model; stored with its weights."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from world_models.segmenter import PUCK_GOAL, ObjectGoal

Positive = Annotated[int, Field(gt=0)]


Weight = Annotated[float, Field(ge=0)]


class Segmentation(BaseModel):
    """What the keyframes of a known sequence cost; the cheapest ones are inferred.

    Errors are squared errors of embeddings, summed over their F numbers; information is in nats.

    Attributes:
        floor: an interpolation error e costs log(1 + e / floor), so that small errors count where large ones
            say no more; 0 keeps errors as they are.
        exact: use all M keyframes (else at most M).
        price: cost of every keyframe.
        coding: weight of predicting a keyframe from the one before it, error + ``coding_beta`` nats.
        timing: weight of a segment's length, in nats under the lengths' own distribution.
        delay: cost per frame that a keyframe comes later; settles ties between neighbouring frames.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    floor: Weight = 0.0
    exact: bool = True
    price: Weight = 0.0
    coding: Weight = 1.0
    coding_beta: Weight = 1.0
    timing: Weight = 0.7
    delay: Weight = 0.0


class KeyInConfig(BaseModel):
    """Sizes of a KeyIn model.

    Attributes:
        context: T, frames that are seen before the first prediction.
        frames: N, frames to predict after the context.
        keyframes: M, the most keyframes in a sequence.
        max_offset: S, the most frames from one keyframe to the next.
        longest_segment: most frames that the interpolator can fill in one go, at least S.
        image_size: side of the square pictures in pixels.
        widths: channels of the encoder's convolutions, at least two.
        keypoints: positions that the encoder reads off.
        blobs: soft shapes from which the decoder paints.
        embedding: size F of a frame's embedding.
        latent: size Z of one decision.
        hidden: width of all recurrent layers.
        dense: width of the autoencoder's linear layers.
        segmentation: how the keyframes of a known sequence are inferred; None for models whose keyframes do
            not follow from what they predict (constant offsets, surprise).
        prior: ``standard`` is the paper's N(0, I); ``learned`` predicts mean and variance from the past.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["keyin"] = "keyin"
    context: Positive = 1
    frames: Positive = 30
    keyframes: Positive = 6
    max_offset: Positive = 6
    longest_segment: Positive = 6
    image_size: Positive = 64
    widths: Annotated[tuple[Positive, ...], Field(min_length=2)] = (24, 48, 64)
    keypoints: Positive = 48
    blobs: Positive = 32
    embedding: Positive = 96
    latent: Positive = 4
    hidden: Positive = 192
    dense: Positive = 384
    segmentation: Segmentation | None = Segmentation()
    prior: Literal["standard", "learned"] = "learned"
    goal: ObjectGoal | None = PUCK_GOAL
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
        if self.image_size % 2 ** len(self.widths):
            raise ValueError(f"image_size {self.image_size} cannot be halved {len(self.widths)} times")
        return self
