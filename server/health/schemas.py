"""What is told of the server's health, in its own words and in those of the Open Inference Protocol."""

from typing import Literal

from pydantic import Field

from server.schemas import ModelRef, Schema

LIVE_PATH = "/livez"
READY_PATH = "/readyz"


class Alive(Schema):
    """The process answers and its engine runs."""

    status: Literal["alive"]


class WarmUp(Schema):
    """The first work of a model, before the server is ready."""

    model: str = Field(examples=["keyin-push"])

    seconds: float | None
    """How long it took; null if it is not done."""


class Checks(Schema):
    """What readiness is made of."""

    engine_alive: bool
    draining: bool
    """Whether the server is shutting down."""
    models: list[ModelRef]
    warm_up: list[WarmUp]
    unfinished: int
    """Requests that wait for the engine or are being worked on."""
    queue_size: int
    """How many may wait."""


class Readiness(Schema):
    """Requests may be sent here."""

    status: Literal["ready"]

    checks: Checks | None = None
    """With ``?verbose``; the problem that says why not has them too."""


class ServerMetadata(Schema):
    """What this server is."""

    name: Literal["waymark"] = "waymark"
    version: str = Field(examples=["1"])
    """Of the API."""
    extensions: list[str]


class ServerLive(Schema):
    """The server is alive."""

    live: Literal[True] = True


class ServerReady(Schema):
    """The server is ready."""

    ready: Literal[True] = True


class ModelReady(Schema):
    """Whether a model is ready; it is if it is loaded and the server is ready."""

    name: str = Field(examples=["keyin-push"])
    ready: Literal[True] = True


class TensorMetadata(Schema):
    """An array that a model takes or gives."""

    name: str = Field(examples=["start"])
    datatype: Literal["UINT8", "FP32"]
    shape: list[int] = Field(examples=[[64, 64, 3]])
    """-1 stands for any size."""


class ModelMetadata(Schema):
    """What a model takes and gives."""

    name: str = Field(examples=["keyin-push"])
    versions: list[str]
    platform: Literal["waymark"] = "waymark"
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]
