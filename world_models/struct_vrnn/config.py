"""Everything that fixes the shape of a Struct-VRNN; stored with its weights."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, model_validator

from world_models.segmenter import Wanted
from world_models.training.fit import NonNegativeInt, PositiveFloat, PositiveInt


class StructVRNNConfig(BaseModel):
    """Sizes of a Struct-VRNN or of one of its ablations (Table S1 of the paper)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["struct-vrnn"] = "struct-vrnn"
    representation: Literal["keypoints", "vector"] = "keypoints"
    """``keypoints`` is Struct-VRNN; ``vector`` is CNN-VRNN: as many numbers, no structure."""
    stochastic: bool = True
    """False is Struct-RNN: no latent, the recurrent network alone predicts."""
    seen_input: Literal["decoded", "detected"] = "decoded"
    """What the recurrence is fed of a seen frame: ``decoded``, what the model makes of it, as in the paper,
    or ``detected``, the features themselves. Nothing is lost in the latter; Struct-RNN, which has no latent
    to see through, always works so."""
    published: bool = False
    """Equations 1 to 4, S5 and S1.1.2 to the letter: of the past, prior, posterior and decoder see the
    recurrent state alone; rectified linear units, plain coordinates, no pixels of the reference in the
    generator."""
    tasks: tuple[str, ...] = ()
    """Names of the data sets it learned from; empty if there was one without a name."""
    actions: NonNegativeInt = 0
    """Most actuators of a task; 0 for a model that is not action-conditional."""
    image_size: PositiveInt = 64
    """Side of the square pictures in pixels; keypoints are found on a map of a quarter of it."""
    widths: tuple[NonNegativeInt, PositiveInt, PositiveInt] = (32, 64, 128)
    """Channels of the convolutions at full, half and quarter size. 0 at full size leaves these out: the first
    convolution halves the picture at once and the last one paints four pixels at a time."""
    extra_layers: PositiveInt = 1
    """Size-preserving convolutions at every scale beside the one that changes the size."""
    keypoints: PositiveInt = 64
    """K; a frame is described by F = 3 (K + J) numbers."""
    bodies: tuple[str, ...] = ()
    """Names of J things whose places are read off the keypoints by a small network that learns them from
    recordings. The dynamics carry them like keypoints, so that costs can be stated in them."""
    body_scale: PositiveFloat = 3.0
    """Their scale, which no picture gives: how much their errors count in the dynamics, beside keypoints,
    whose largest has scale 1."""
    blob_width: PositiveFloat = 1.5
    """Standard deviation of a rendered keypoint, in cells of the map."""
    latent: PositiveInt = 128
    """Z, numbers that are drawn per frame."""
    hidden: PositiveInt = 512
    """H, units of the recurrent network."""
    prior_width: PositiveInt = 16
    """Hidden units of the prior network."""
    posterior_width: PositiveInt = 128
    """Hidden units of the posterior network; the decoder has as many."""
    goal: Wanted | None = None
    """What it can be asked to bring about: its bodies name the object and what moves it; None for models that
    are asked for rewards, or for what a picture shows."""

    @property
    def features(self) -> int:
        """F: numbers per frame, (x, y, scale) of every keypoint, then of every body."""
        return self.detected + 3 * len(self.bodies)

    @property
    def detected(self) -> int:
        """Numbers per frame that are found in a picture, those of keypoints."""
        return 3 * self.keypoints

    @property
    def sees_directly(self) -> bool:
        """Whether the recurrence is fed the features of seen frames as they are."""
        return self.seen_input == "detected" or not self.stochastic

    @property
    def map_size(self) -> int:
        """Side of the map on which keypoints are found and rendered."""
        return self.image_size // 4

    @model_validator(mode="after")
    def _fits(self) -> "StructVRNNConfig":
        if self.image_size % 4:
            raise ValueError(f"image_size {self.image_size} must be a multiple of 4")
        if self.bodies and self.representation == "vector":
            raise ValueError("a vector has no places to read bodies off; leave out bodies or use keypoints")
        if self.published and self.bodies:
            raise ValueError(
                "a published model reads no bodies off its keypoints; leave out bodies or published"
            )
        wanted = [] if self.goal is None else [one.body for one in self.goal.objects] + [self.goal.effector]
        if not set(wanted) <= set(self.bodies):
            known = ", ".join(self.bodies) or "none"
            raise ValueError(f"the goal is about {' and '.join(wanted)}; bodies are {known}")
        return self
