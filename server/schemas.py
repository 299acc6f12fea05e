"""What travels over the wire: requests are strict and closed, replies are complete."""

import hashlib
import json
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

DEFAULT_DEADLINE_MS = 10_000
MAX_SEED = 2**63 - 1
MIN_SAMPLES, MAX_SAMPLES = 2, 2000
MAX_ITERATIONS = 20

Base64Picture = Annotated[
    str,
    Field(json_schema_extra={"contentEncoding": "base64", "contentMediaType": "image/png"}),
]


class Schema(BaseModel):
    """Anything on the wire; the line under a field is its description in OpenAPI."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class PlanOptions(Schema):
    """How to plan; every field may be left out."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    model: str | None = Field(default=None, max_length=200, examples=["keyin-push"])
    """Name of a model of ``GET /v1/models``; the first one if left out."""

    seed: int | None = Field(default=None, ge=0, le=MAX_SEED, examples=[7])
    """Seed of the search; drawn and returned if left out."""

    samples: int | None = Field(default=None, ge=MIN_SAMPLES, le=MAX_SAMPLES, examples=[200])
    """Candidates per iteration; the model's own default if left out."""

    iterations: int | None = Field(default=None, ge=1, le=MAX_ITERATIONS, examples=[3])
    """Rounds of the search; the model's own default if left out."""

    deadline_ms: int | None = Field(default=None, ge=1, examples=[DEFAULT_DEADLINE_MS])
    """Milliseconds for waiting and planning, 10,000 if left out; the plan found by then is returned."""


class PlanRequest(PlanOptions):
    """Two pictures, PNG or JPEG in base64 and of the model's size, and how to plan between them."""

    start: Base64Picture
    """The world as it is."""

    goal: Base64Picture
    """The world as it should be: the puck is wanted where this picture shows it."""


class ModelRef(Schema):
    """Which weights answered."""

    name: str = Field(examples=["keyin-push"])
    version: str = Field(examples=["1"])
    sha256: str = Field(examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"])
    """SHA-256 of the model's manifest, which lists those of its files."""


class Range(Schema):
    """Smallest and largest value allowed."""

    min: int
    max: int


class SearchDefaults(Schema):
    """What is used for fields that a request leaves out."""

    samples: int
    iterations: int
    deadline_ms: int


class SearchLimits(Schema):
    """What a request may ask for."""

    samples: Range
    iterations: Range
    work: int
    """Largest ``samples`` x ``iterations``."""
    deadline_ms: Range
    seed: Range
    body_bytes: int


class ModelInfo(ModelRef):
    """A model that plans can be asked of."""

    image_size: int = Field(examples=[64])
    """Width and height of its pictures, in pixels."""

    keyframes: int = Field(examples=[6])
    """Subgoals per plan."""

    defaults: SearchDefaults
    limits: SearchLimits


class ModelList(Schema):
    """All models that are loaded, the one that is used by default first."""

    models: list[ModelInfo]


class Position(Schema):
    """Centre of the puck in a picture, in pixels; the centre of the top left pixel is (0, 0)."""

    x: float = Field(examples=[31.5])
    y: float = Field(examples=[18.25])


class Scene(Schema):
    """What was seen in a picture of the request."""

    object_position: Position | None
    """None (null) if no puck is seen."""


class Subgoal(Scene):
    """One picture on the way."""

    index: int
    """Place in the plan, from 0."""

    step: float
    """Predicted environment frames from the start picture to this one."""

    whole: bool
    """Whether exactly one whole puck is seen: a sign that the picture can be trusted."""

    image: Base64Picture
    """PNG."""


class PlanContent(Schema):
    """The plan proper: the same request with the same seed gives the same bytes, also after a restart.

    That holds as long as ``stop_reason`` is ``iterations``; a deadline cuts the search by the clock.
    """

    model: ModelRef
    seed: int
    samples: int
    iterations: int
    iterations_run: int
    stop_reason: Literal["iterations", "deadline", "cancelled"]
    """``cancelled``: the server was shutting down and answered with what it had."""
    start: Scene
    goal: Scene
    subgoals: list[Subgoal]
    cost: float | None
    """Predicted distance, in pixels, between the puck in the last subgoal and in the goal picture."""
    cost_history: list[float | None]
    """Lowest cost found up to each iteration; null while no candidate showed a puck."""


class Timings(Schema):
    """Where the time went, in milliseconds. ``total_ms`` ends when the reply is put together."""

    decode_ms: float
    queue_ms: float
    plan_ms: float
    encode_ms: float
    total_ms: float


class PlanResponse(PlanContent):
    """A plan and how it came about."""

    digest: str
    """SHA-256 of the plan proper: the fields from ``model`` to ``cost_history`` as JSON with sorted keys,
    without spaces. Equal digests, equal plans."""

    request_id: str
    timings: Timings


class Status(Schema):
    """A word on how the server is."""

    status: Literal["alive", "ready"]


class FieldError(Schema):
    """What is wrong with one field of a request."""

    field: str = Field(examples=["samples"])
    message: str = Field(examples=["Input should be greater than or equal to 2"])


class Problem(Schema):
    """An error in the form of RFC 9457."""

    type: str = Field(examples=["urn:waymark:problem:invalid-request"])
    title: str = Field(examples=["The request is not valid"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["samples: Input should be greater than or equal to 2"])
    request_id: str = Field(examples=["0b51c4f9e6c24f56a1f6a9a3f1f6a5d2"])
    errors: list[FieldError] | None = None


def digest(content: PlanContent) -> str:
    """SHA-256 of a plan's canonical JSON: keys sorted, no spaces, ASCII."""
    fields = content.model_dump(mode="json", include=set(PlanContent.model_fields))
    canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()
