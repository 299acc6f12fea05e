"""What ``GET /v1/models`` tells: the models that are loaded, what they expect and what may be asked."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from server.actions.schemas import Objective
from server.schemas import ModelRef, Range, Schema

MODELS_PATH = "/v1/models"


class SearchDefaults(Schema):
    """What is used for fields that a request leaves out."""

    samples: int
    iterations: int
    deadline_ms: int


def _leave_open(schema: dict[str, Any]) -> None:
    # To leave it out means the same, and keeps the description free of a word that says nothing.
    schema.pop("additionalProperties", None)


class Limits(Schema):
    """What a request may ask for; resources may state more limits than those that are listed here."""

    model_config = ConfigDict(extra="allow", json_schema_extra=_leave_open)


class SearchLimits(Limits):
    """What a request may ask for."""

    keyframes: Range
    samples: Range
    iterations: Range
    work: int
    """Largest ``samples`` x ``keyframes`` x ``iterations``."""
    deadline_ms: Range
    seed: Range
    body_bytes: int


class MeasuredFigure(Schema):
    """How well a model does in one task, in closed loop; more is better."""

    task: str = Field(examples=["reacher-easy"])

    measure: Literal["success", "return"]
    """``success``: share of episodes that end at the goal; ``return``: mean sum of rewards of an episode."""

    value: float = Field(examples=[957.4])

    episodes: int = Field(examples=[20])
    """How many, the first ones of ``manifest``."""

    manifest: str = Field(examples=["dmc-20"])
    """The frozen episodes, by name."""


class LoadedModel(ModelRef):
    """What is said of every model."""

    weights_sha256: str
    """SHA-256 of the weights alone."""

    figures: list[MeasuredFigure]
    """What it was measured to be good at. Of several models that can do a task the one with the largest
    figure answers by default, before those that were not measured."""


class PlannerInfo(LoadedModel):
    """A model that plans can be asked of."""

    kind: Literal["planner"] = "planner"

    image_size: int = Field(examples=[64])
    """Width and height of its pictures, in pixels."""

    keyframes: int = Field(examples=[6])
    """Subgoals per plan; the most, where ``limits`` leave a choice."""

    chooses_keyframes: bool
    """Whether plans can be asked for with ``auto`` keyframes."""

    goal: Literal["object", "embedding"] = "object"
    """What of a goal picture counts: where it shows an object, or (``embedding``) all of it."""

    follows: bool = False
    """Whether plans are to be followed frame by frame, and can be asked for with their ``path``."""

    defaults: SearchDefaults
    limits: SearchLimits


class TaskInfo(Schema):
    """A task that a world model learned from."""

    name: str = Field(examples=["cartpole-balance"])

    actions: int | None = Field(examples=[1])
    """Actuators: numbers per action. Null if no rewards can be asked for."""

    reward_head: str | None
    """SHA-256 of the manifest of the head that predicts its rewards, null if there is none."""

    horizon: int = Field(examples=[30])
    """Steps that ``POST /v1/actions`` looks ahead in this task, if a request does not say."""


class ControlInfo(Schema):
    """An objective of ``POST /v1/actions`` that a world model can act for, and what is used for fields that a
    request leaves out.
    """

    objective: Objective

    frames: int = Field(examples=[4])
    """Frames that are looked at, the last ones; more may be sent."""

    candidates: int
    iterations: int
    horizon: int
    """Of tasks that name one of their own, that goes."""


class WorldDefaults(Schema):
    """What is used for fields that a request leaves out."""

    deadline_ms: int


class ActingLimits(Limits):
    """What a request may ask for of a model that acts."""

    frames: Range
    candidates: Range
    iterations: Range
    """Iterations of ``POST /v1/actions``."""
    horizon: Range
    action_work: int
    """Largest ``candidates`` x ``iterations`` x ``horizon`` of ``POST /v1/actions``."""
    deadline_ms: Range
    seed: Range
    body_bytes: int


class WorldLimits(ActingLimits):
    """What a request may ask for."""

    steps: Range
    """Steps of an action sequence."""
    sequences: Range
    """Action sequences of ``POST /v1/rewards``."""
    reward_work: int
    """Largest sequences x steps of ``POST /v1/rewards``."""
    samples: Range
    """Samples of ``POST /v1/predictions``."""
    prediction_work: int
    """Largest samples x steps of ``POST /v1/predictions``."""
    edits: Range


class WorldModelInfo(LoadedModel):
    """A model that finds keypoints and predicts how they move and what rewards this brings."""

    kind: Literal["world-model"] = "world-model"

    image_size: int = Field(examples=[64])
    """Width and height of its pictures, in pixels."""

    keypoints: int = Field(examples=[32])
    """Keypoints per frame."""

    actions: int = Field(examples=[6])
    """Most numbers per action; 0 for a model of things that nobody drives."""

    stochastic: bool
    """Whether samples can be drawn, or there is the mean prediction alone."""

    tasks: list[TaskInfo]

    control: list[ControlInfo]
    """What actions can be asked for; none of models that cannot act."""

    defaults: WorldDefaults
    limits: WorldLimits


class ControllerInfo(LoadedModel):
    """A control model: it acts in one task, and has a value of what comes after the steps looked ahead."""

    kind: Literal["controller"] = "controller"

    image_size: int = Field(examples=[64])
    """Width and height of its pictures, in pixels."""

    task: str = Field(examples=["walker-walk"])
    """What it was trained to do."""

    actions: int = Field(examples=[6])
    """Numbers per action."""

    detector_sha256: str
    """SHA-256 of the weights of the Struct-VRNN that it sees with."""

    control: list[ControlInfo]
    """What actions can be asked for."""

    defaults: WorldDefaults
    limits: ActingLimits


class VideoLimits(Limits):
    """What a request may ask for."""

    frames: Range
    steps: Range
    samples: Range
    """Samples of ``POST /v1/predictions``."""
    prediction_work: int
    """Largest samples x steps of ``POST /v1/predictions``."""
    deadline_ms: Range
    seed: Range
    body_bytes: int


class VideoModelInfo(LoadedModel):
    """A model that predicts pictures from pictures: SVG."""

    kind: Literal["svg"] = "svg"

    image_size: int = Field(examples=[64])
    """Width and height of its pictures, in pixels."""

    grey: bool
    """Whether it sees brightness alone."""

    prior: Literal["learned", "fixed", "none"]
    """Where latents come from: a learned prior (SVG-LP) or a fixed one (SVG-FP); or there are none."""

    actions: int = Field(examples=[0])
    """Numbers per action; 0 for a model of things that nobody drives."""

    stochastic: bool
    """Whether samples can be drawn, or there is the mean prediction alone."""

    defaults: WorldDefaults
    limits: VideoLimits


class TrackLimits(Limits):
    """What a request may ask for."""

    frames: Range
    """Frames of ``POST /v1/predictions``, and on each side of the gap of ``POST /v1/interpolations``."""
    steps: Range
    """Frames to predict or missing."""
    objects: Range
    deadline_ms: Range
    body_bytes: int


class TrackModelInfo(LoadedModel):
    """A model that follows objects through pictures by a Kalman filter, and can smooth over missing ones."""

    kind: Literal["kalman"] = "kalman"

    image_size: int = Field(examples=[48])
    """Width and height of its pictures, in pixels; it sees brightness alone."""

    defaults: WorldDefaults
    limits: TrackLimits


ModelInfo = Annotated[
    PlannerInfo | WorldModelInfo | ControllerInfo | VideoModelInfo | TrackModelInfo,
    Field(discriminator="kind"),
]


class ModelList(Schema):
    """All models that are loaded, in the order of the server's settings."""

    models: list[ModelInfo]
