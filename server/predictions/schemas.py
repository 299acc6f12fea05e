"""What travels over the wire for rewards, keypoints, predictions and interpolations."""

from typing import Annotated

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from server.schemas import MAX_SEED, Answer, Base64Picture, Calibration, ModelRef, Options, Schema

REWARDS_PATH = "/v1/rewards"
KEYPOINTS_PATH = "/v1/keypoints"
PREDICTIONS_PATH = "/v1/predictions"
INTERPOLATIONS_PATH = "/v1/interpolations"

MAX_FRAMES = 20
MAX_STEPS = 50
MAX_SEQUENCES = 512
MAX_SAMPLES = 50
MAX_EDITS = 100
MAX_REWARDS = 20_000
"""Most rewards of one request, over all its action sequences."""
MAX_FUTURE_FRAMES = 1_000
"""Most predicted frames of one request, over all its samples."""
# Wider than any model: which width is right, the model says.
_MAX_ACTUATORS = 64
# More than any model follows: how many one does, it says.
_MAX_OBJECTS = 64
# Pixels: beyond any picture, within what networks bear.
_FAR = 1000

# The first wrong number of a large body is enough.
Action = Annotated[
    list[Annotated[float, Field(ge=-1, le=1)]], Field(min_length=1, max_length=_MAX_ACTUATORS, fail_fast=True)
]
ActionSequence = Annotated[list[Action], Field(min_length=1, max_length=MAX_STEPS, fail_fast=True)]
Pixels = Annotated[float, Field(ge=-_FAR, le=_FAR)]
Frames = Annotated[list[Base64Picture], Field(min_length=1, max_length=MAX_FRAMES, fail_fast=True)]


class KeypointRequest(Options):
    """Frames to find keypoints in."""

    frames: Frames
    """PNG or JPEG in base64, square, of the model's size or up to 1024 pixels, the oldest first."""


class ContextRequest(KeypointRequest):
    """What has been seen."""

    past_actions: Annotated[list[Action], Field(max_length=MAX_FRAMES - 1, fail_fast=True)] = []
    """The action between each frame and the next, in [-1, 1]; may be left out with a single frame."""


class RewardRequest(ContextRequest):
    """What has been seen, and several ways to go on."""

    task: str = Field(max_length=200, examples=["cartpole-balance"])
    """Name of a task of the model in ``GET /v1/models``."""

    actions: Annotated[list[ActionSequence], Field(min_length=1, max_length=MAX_SEQUENCES, fail_fast=True)]
    """Action sequences, all of one length, from the last frame on: ``actions[i][t]`` in [-1, 1]."""


class Edit(Schema):
    """Moves one observed keypoint: by ``dx``, ``dy`` or to ``x``, ``y``."""

    model_config = Options.model_config

    frame: int | None = Field(default=None, ge=0, lt=MAX_FRAMES, examples=[3])
    """Which frame of the request, from 0; all if left out or null."""

    keypoint: int = Field(ge=0, examples=[0])
    """Which keypoint, from 0."""

    dx: Pixels | None = None
    """Pixels to the right."""

    dy: Pixels | None = None
    """Pixels down."""

    x: Pixels | None = None
    """Pixels from the centre of the leftmost pixels."""

    y: Pixels | None = None
    """Pixels from the centre of the topmost pixels, down."""

    @model_validator(mode="after")
    def _one_way(self) -> "Edit":
        way = [getattr(self, name) is not None for name in ("dx", "dy", "x", "y")]
        if way not in ([True, True, False, False], [False, False, True, True]):
            raise PydanticCustomError("edit", "Send either dx and dy or x and y.")
        return self


class PredictionRequest(ContextRequest):
    """What has been seen, what is done next, and what to imagine of it."""

    actions: ActionSequence | None = None
    """Actions from the last frame on, in [-1, 1]; needed by models that take actions."""

    steps: int | None = Field(default=None, ge=1, le=MAX_STEPS, examples=[12])
    """Frames to predict; needed by models that take no actions, for others as many as there are actions."""

    samples: int | None = Field(default=None, ge=1, le=MAX_SAMPLES, examples=[3])
    """Futures to draw; if left out, the mean prediction alone."""

    seed: int | None = Field(default=None, ge=0, le=MAX_SEED, examples=[7])
    """Seed of the samples; drawn and returned if left out."""

    objects: int | None = Field(default=None, ge=1, le=_MAX_OBJECTS, examples=[2])
    """How many objects move there; needed by models that follow objects, refused by others."""

    edits: Annotated[list[Edit], Field(max_length=MAX_EDITS, fail_fast=True)] = []
    """Observed keypoints to move, in this order, before the model takes them in: the others react."""

    render: bool = True
    """Whether to draw pictures of what is predicted."""

    @model_validator(mode="after")
    def _seed_for_samples(self) -> "PredictionRequest":
        if self.seed is not None and self.samples is None:
            raise PydanticCustomError("seed", "A seed draws samples: send samples too, or no seed.")
        return self


class InterpolationRequest(Options):
    """What has been seen before and after a gap, for models that follow objects."""

    before: Frames
    """The frames before the gap: PNG or JPEG in base64, square, of the model's size or up to 1024 pixels, the
    oldest first."""

    after: Frames
    """The frames after it, likewise."""

    steps: int = Field(ge=1, le=MAX_STEPS, examples=[12])
    """Frames that are missing between them."""

    objects: int = Field(ge=1, le=_MAX_OBJECTS, examples=[2])
    """How many objects move there."""

    render: bool = True
    """Whether to draw the missing frames."""


class Keypoint(Schema):
    """Where something is in a picture."""

    x: float = Field(examples=[31.5])
    """Pixels to the right; the centre of the top left pixel is (0, 0)."""

    y: float = Field(examples=[18.25])
    """Pixels down."""

    scale: float = Field(examples=[0.75])
    """How much there is of it, relative to the strongest keypoint of the frame."""


class PositionEstimate(Schema):
    """Where an object is in a picture, as a normal distribution."""

    x: float = Field(examples=[31.5])
    """Pixels to the right; the centre of the top left pixel is (0, 0)."""

    y: float = Field(examples=[18.25])
    """Pixels down."""

    covariance: list[list[float]] = Field(examples=[[[0.5, 0.1], [0.1, 0.75]]])
    """Of x and y, in square pixels."""


class ObjectPositions(Schema):
    """Where one object was and will be."""

    context: list[PositionEstimate]
    """In every frame of the request, given this frame and those before it."""

    predicted: list[PositionEstimate]
    """After every step, given all frames of the request."""


class SeenContent(Schema):
    """What an answer says of the frames that it is about."""

    undigested = frozenset({"calibration"})

    calibration: Calibration
    """How the frames were corrected before the model saw them, by the first of them; pixels of the answer are
    those of corrected frames."""


class RewardContent(SeenContent):
    """The rewards proper: the same request gives the same bytes."""

    model: ModelRef
    task: str
    reward_head: str
    """SHA-256 of the manifest of the head that answered."""
    rewards: list[list[float]]
    """For every action sequence the reward on arriving at each frame."""
    returns: list[float]
    """Sums of the rewards of each sequence."""


class KeypointContent(SeenContent):
    """The keypoints proper: the same request gives the same bytes."""

    model: ModelRef
    keypoints: list[list[Keypoint]]
    """For every frame its keypoints; a keypoint has the same place in the list in all frames."""


class Sample(Schema):
    """One future."""

    keypoints: list[list[Keypoint]]
    """For every step its keypoints; none where the model has none."""

    frames: list[Base64Picture] | None
    """PNG; null if none were wanted."""


class PredictionContent(SeenContent):
    """The predictions proper: the same request with the same seed gives the same bytes."""

    model: ModelRef
    mean: bool
    """Whether this is the mean prediction; else samples were drawn."""
    seed: int | None
    """Seed of the samples; null for the mean prediction."""
    context: list[list[Keypoint]]
    """The keypoints of the frames of the request, after the edits; none where the model has none."""
    samples: list[Sample]
    positions: list[ObjectPositions] | None = None
    """For every object its positions; null where the model follows no objects."""


class InterpolationContent(Schema):
    """What was between proper: the same request gives the same bytes."""

    model: ModelRef
    frames: list[Base64Picture] | None
    """The missing frames as PNG; null if none were wanted."""
    positions: list[list[PositionEstimate]]
    """For every object its position in each missing frame, given all frames of the request."""


class RewardResponse(Answer, RewardContent):
    """Rewards and how they came about."""


class KeypointResponse(Answer, KeypointContent):
    """Keypoints and how they came about."""


class PredictionResponse(Answer, PredictionContent):
    """Predictions and how they came about."""


class InterpolationResponse(Answer, InterpolationContent):
    """The missing frames and how they came about."""
