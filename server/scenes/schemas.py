"""What travels over the wire for environments, scenes and clips."""

from typing import Literal

from pydantic import Field

from server.schemas import DEFAULT_DEADLINE_MS, MAX_SEED, Answer, Base64Picture, Options, Schema

ENVIRONMENTS_PATH = "/v1/environments"
SCENES_PATH = "/v1/scenes"
CLIPS_PATH = "/v1/clips"

MAX_CLIP_STEPS = 200


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
    """Control steps of a whole episode."""

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
    """A pushing task to draw at random."""


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
    seed: int
    start: Base64Picture
    """PNG of how the world is."""

    goal: Base64Picture
    """PNG of how it should be."""

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
