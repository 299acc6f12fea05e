"""What travels over the wire for environments, scenes and clips."""

from typing import Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from server.schemas import DEFAULT_DEADLINE_MS, MAX_SEED, Answer, Base64Picture, Options, Schema

ENVIRONMENTS_PATH = "/v1/environments"
SCENES_PATH = "/v1/scenes"
CLIPS_PATH = "/v1/clips"

MAX_CLIP_STEPS = 200


class Returns(Schema):
    """Mean returns of whole episodes, measured on frozen starts."""

    random: float = Field(examples=[38.2])
    """Of uniform random actions."""

    simulator: float | None = Field(examples=[983.9])
    """Of a search in the true dynamics with the true reward; null where it was not measured."""

    manifest: str = Field(examples=["dmc-20"])
    """The frozen starts, by name."""


class EnvironmentInfo(Schema):
    """A simulated environment, and the models that can do something in it."""

    name: str = Field(examples=["push"])
    kind: Literal["push", "dmc"]
    """``push``: scenes have a goal picture; ``dmc``: a task of DM Control, which pays rewards."""

    image_size: int
    """Side of its pictures, in pixels."""

    actions: int
    """Numbers of an action, each in [-1, 1]."""

    steps: int
    """Steps of a whole episode."""

    action_repeat: int
    """Control steps of the simulator that an action is held for; what they pay is the reward of the step."""

    returns: Returns | None
    """How to read the return of a whole episode; null where there are no rewards."""

    gallery: list[int]
    """Some seeds, for a first look."""

    planners: list[str]
    """Models that plan here, the best one first: it answers unless another is named."""

    controllers: list[str]
    """Models that act here; likewise."""


class EnvironmentList(Schema):
    """All environments."""

    environments: list[EnvironmentInfo]


class WorldRequest(Schema):
    """Where something is to happen."""

    model_config = Options.model_config

    environment: str = Field(max_length=200, examples=["push"])
    """Name of an environment of ``GET /v1/environments``."""

    seed: int | None = Field(default=None, ge=0, le=MAX_SEED, examples=[3])
    """Seed of what is drawn at random; drawn itself and returned if left out."""

    deadline_ms: int | None = Field(default=None, ge=1, examples=[DEFAULT_DEADLINE_MS])
    """Milliseconds for waiting and working, 10,000 if left out; a refusal if they do not suffice."""


class SceneRequest(WorldRequest):
    """A pushing task to draw at random, or to read off pictures of it."""

    start: Base64Picture | None = None
    """In place of ``seed``, for pushing: PNG or JPEG in base64 of the table, which is set up from that ..."""

    goal: Base64Picture | None = None
    """... and of how it should be: the object is wanted where this picture shows it."""

    @model_validator(mode="after")
    def _one_source(self) -> "SceneRequest":
        if (self.start is None) != (self.goal is None):
            raise PydanticCustomError("pictures", "Send both start and goal, or neither.")
        if self.start is not None and self.seed is not None:
            raise PydanticCustomError("seed", "Send either a seed or start and goal.")
        return self


class ClipRequest(WorldRequest):
    """Random actions to record."""

    steps: int = Field(default=20, ge=1, le=MAX_CLIP_STEPS, examples=[20])
    """Control steps; there is a frame more."""


class Place(Schema):
    """A point on the table, in table units: it reaches from -1.2 to 1.2, y away from the viewer."""

    x: float = Field(examples=[0.25])
    y: float = Field(examples=[-0.5])


class Wall(Schema):
    """A wall on the table."""

    middle: Place
    angle: float
    """Radians from the x axis."""

    half_length: float
    """Table units."""


class Layout(Schema):
    """Where things are on the table of a pushing task."""

    puck: Place
    goal: Place
    finger: Place
    walls: list[Wall]


class SceneContent(Schema):
    """The scene proper: the same seed gives the same bytes."""

    environment: str
    seed: int | None
    """Null if the scene was read off pictures."""

    start: Base64Picture
    """PNG of how the world is, drawn anew if it was read off a picture."""

    goal: Base64Picture
    """PNG of how it should be, likewise."""

    layout: Layout


class ClipContent(Schema):
    """The recording proper: the same seed gives the same bytes."""

    environment: str
    seed: int
    frames: list[Base64Picture]
    """PNG of the start and after every step; fewer than asked for where the simulation broke down."""

    actions: list[list[float]]
    """The action between each frame and the next: uniform in [-1, 1], a new one every step."""

    rewards: list[float]
    """What the environment paid on arriving at each frame after the first."""


class SceneResponse(Answer, SceneContent):
    """A scene and how it came about."""


class ClipResponse(Answer, ClipContent):
    """A recording and how it came about."""
