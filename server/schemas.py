"""What travels over the wire at every endpoint: requests are strict and closed, replies are complete."""

import hashlib
import json
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field

DEFAULT_DEADLINE_MS = 10_000
MAX_SIDE = 1024
"""Pixels of the largest square pictures that are taken; they are shrunk to a model's size."""
MAX_SEED = 2**63 - 1

Base64Picture = Annotated[
    str,
    Field(json_schema_extra={"contentEncoding": "base64", "contentMediaType": "image/png"}),
]


class Schema(BaseModel):
    """Anything on the wire; the line under a field is its description in OpenAPI."""

    undigested: ClassVar[frozenset[str]] = frozenset()
    """Fields that come with the content proper and have no part in its digest."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class Options(Schema):
    """What every request may say."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    model: str | None = Field(default=None, max_length=200, examples=["keyin-push"])
    """Name of a model of ``GET /v1/models``; the best one that can answer if left out."""

    deadline_ms: int | None = Field(default=None, ge=1, examples=[DEFAULT_DEADLINE_MS])
    """Milliseconds for waiting and working, 10,000 if left out; a refusal if they do not suffice."""


Bright = Annotated[float, Field(gt=0, le=255)]
Byte = Annotated[float, Field(ge=0, le=255)]
Exponent = Annotated[float, Field(gt=0, le=10)]
Angle = Annotated[float, Field(ge=-15, le=15)]


class Tone(Schema):
    """Light and colour balance of pictures: ``becomes * (value / brightest) ** exponent`` of red, green and
    blue, in 0..255.
    """

    model_config = Options.model_config

    brightest: tuple[Bright, Bright, Bright] = Field(examples=[[203.0, 203.0, 203.0]])
    """The brightest there is in the pictures sent ..."""

    becomes: tuple[Bright, Bright, Bright] = Field(examples=[[254.0, 254.0, 254.0]])
    """... and in those that the model learned from."""

    exponent: tuple[Exponent, Exponent, Exponent] = Field(examples=[[1.0, 1.0, 1.0]])
    """Curvature; 1 where the light is only weaker or stronger."""


class Calibration(Schema):
    """How pictures differ from those that the model learned from. They are corrected by it before the model
    sees them.
    """

    model_config = Options.model_config

    tone: Tone | None = None
    """Light and colour balance; null where they are as the model knows them."""

    pitch_degrees: Angle = 0.0
    """How far up the camera is turned; negative: down."""

    yaw_degrees: Angle = 0.0
    """How far to the left it is turned; negative: right."""

    object_colour: tuple[Byte, Byte, Byte] | None = Field(default=None, examples=[[255.0, 30.0, 30.0]])
    """Red, green and blue, in 0..255, of what is to be moved; null where it is as the model knows it."""


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


class Timings(Schema):
    """Where the time went, in milliseconds. ``total_ms`` ends when the reply is put together."""

    decode_ms: float
    queue_ms: float
    work_ms: float
    encode_ms: float
    total_ms: float


class Answer(Schema):
    """What every reply ends with that needed the engine."""

    digest: str
    """SHA-256 of the fields before this one as JSON with sorted keys, without spaces."""

    request_id: str
    timings: Timings


class Queued(Schema):
    """First event of a stream: the work has been taken."""

    request_id: str

    id: str | None
    """What the work can be asked for and cancelled by, null if it cannot."""

    predicted_wait_ms: float
    """What others' work should take that comes first."""


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


def digest(content: Schema) -> str:
    """SHA-256 of canonical JSON: keys sorted, no spaces, ASCII."""
    fields = content.model_dump(mode="json", exclude=set(content.undigested))
    canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()
