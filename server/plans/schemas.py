"""What travels over the wire for plans."""

from typing import Literal

from pydantic import Field, computed_field

from server.schemas import (
    DEFAULT_DEADLINE_MS,
    MAX_SEED,
    Base64Picture,
    Calibration,
    ModelRef,
    Options,
    Problem,
    Schema,
)

PLANS_PATH = "/v1/plans"
PLAN_PATH = "/v1/plans/{plan}"

MIN_SAMPLES = 2
MAX_KEYFRAMES = 120_000
"""Most keyframes that one plan may imagine: samples x keyframes x iterations."""


MAX_ALTERNATIVES = 5


class PlanOptions(Options):
    """How to plan; every field may be left out."""

    seed: int | None = Field(default=None, ge=0, le=MAX_SEED, examples=[7])
    """Seed of the search; drawn and returned if left out."""

    samples: int | None = Field(default=None, ge=MIN_SAMPLES, le=MAX_KEYFRAMES, examples=[200])
    """Candidates per iteration; the model's own default if left out."""

    iterations: int | None = Field(default=None, ge=1, le=MAX_KEYFRAMES, examples=[3])
    """Rounds of the search; the model's own default if left out."""

    keyframes: int | Literal["auto"] | None = Field(default=None, examples=["auto"])
    """Subgoals of the plan, the last one at the goal; ``auto``: as many as the model finds necessary. The
    model's most if left out."""

    alternatives: int | None = Field(default=None, ge=1, le=MAX_ALTERNATIVES, examples=[2])
    """Most other plans of the same search to send along: as plausible, and as different as can be."""

    path: bool = False
    """Whether to send along every frame on the way; for planners with ``follows`` in ``GET /v1/models``."""

    deadline_ms: int | None = Field(default=None, ge=1, examples=[DEFAULT_DEADLINE_MS])
    """Milliseconds for waiting and planning, 10,000 if left out; the plan found by then is returned."""


class PlanRequest(PlanOptions):
    """Two pictures, PNG or JPEG in base64, square, of the model's size or up to 1024 pixels, and how to plan
    between them.
    """

    start: Base64Picture
    """The world as it is; to planners of objects it must show the object, once."""

    goal: Base64Picture
    """The world as it should be: the object is wanted where this picture shows it, once; by planners whose
    ``goal`` is ``embedding`` in ``GET /v1/models``, all is wanted as this picture shows it."""


class Position(Schema):
    """Centre of an object in a picture, in pixels; the centre of the top left pixel is (0, 0)."""

    x: float = Field(examples=[31.5])
    y: float = Field(examples=[18.25])


class Scene(Schema):
    """What was seen in a picture of the request."""

    object_position: Position | None
    """None (null) if no object is seen, or none is looked for."""


class Subgoal(Scene):
    """One picture on the way."""

    index: int
    """Place in the plan, from 0."""

    step: float
    """Predicted environment frames from the start picture to this one."""

    whole: bool
    """Whether exactly one whole object is seen or, where none is looked for, whether the model knows such
    pictures: a sign that the picture can be trusted."""

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
    """Predicted distance, in pixels, between the object in the last subgoal and in the goal picture. Of
    planners whose goal is ``embedding``: squared distance between the embeddings of the subgoal ``ends_at``
    and of the goal picture, in units of the median one of consecutive frames, and what a late or unlikely
    arrival costs beside it."""
    cost_history: list[float | None]
    """Lowest cost found up to each iteration; null while no candidate had one: none showed the object."""


class PlanTimings(Schema):
    """Where the time went, in milliseconds. ``total_ms`` ends when the reply is put together."""

    decode_ms: float
    queue_ms: float
    plan_ms: float
    encode_ms: float
    total_ms: float


class Alternative(Schema):
    """Another plan of the same search."""

    id: str
    """What it can be named by, as a plan by its ``id``: the digest it would have if it were the plan."""

    subgoals: list[Subgoal]
    cost: float | None
    """As that of the plan."""

    ends_at: int
    """Likewise."""

    path: list[Base64Picture] | None = Field(default=None, exclude_if=lambda value: value is None)
    """Likewise."""


class SeenPictures(Schema):
    """The pictures of the request as the model saw them."""

    start: Base64Picture
    """PNG."""

    goal: Base64Picture
    """PNG."""


class PlanChoice(PlanContent):
    """A plan, how its pictures were seen, and others to choose from."""

    undigested = frozenset({"alternatives", "calibration", "ends_at", "path", "seen", "warnings"})

    calibration: Calibration
    """How the pictures were corrected. Send it with requests for actions in the same scene, or name the plan
    there. It has no part in ``digest``."""

    seen: SeenPictures | None
    """What the model saw; null if nothing was corrected. It has no part in ``digest``."""

    warnings: list[str]
    """Why the plan may be worse than usual: pictures that are hardly like what the model knows. They have no
    part in ``digest``."""

    ends_at: int
    """Which subgoal is where the plan reaches the goal: the last one, or an earlier one of planners that look
    for the nearest; what comes after that one means nothing. It has no part in ``digest``."""

    path: list[Base64Picture] | None = Field(default=None, exclude_if=lambda value: value is None)
    """PNGs of every frame after the start, one for each step, up to the one before ``ends_at``, in whose
    place the goal picture is to be pursued; left out unless asked for. They have no part in ``digest``."""

    alternatives: list[Alternative] | None = Field(default=None, exclude_if=lambda value: value is None)
    """Other plans of the same search, the most different one first; left out unless they were asked for. They
    have no part in ``digest``."""


class PlanResponse(PlanChoice):
    """A plan and how it came about."""

    digest: str
    """SHA-256 of the plan proper: the fields from ``model`` to ``cost_history`` as JSON with sorted keys,
    without spaces. Equal digests, equal plans."""

    request_id: str
    timings: PlanTimings

    @computed_field  # type: ignore[prop-decorator]  # mypy knows no such properties
    @property
    def id(self) -> str:
        """What ``POST /v1/actions`` knows the plan by: the digest."""
        return self.digest


class IterationEvent(Schema):
    """Event ``iteration`` of a stream: how the search stands."""

    iteration: int
    """Counts from 1."""

    iterations: int
    best_cost: float | None
    """Lowest cost so far, as that of the plan; null while no candidate had one."""

    mean_cost: float | None
    """Mean of the finite costs of this iteration's candidates."""

    elite_std: float
    """Mean spread of the candidates of the next iteration."""

    elapsed_ms: float
    """Since the request was taken."""


class SubgoalEvent(Schema):
    """Event ``subgoal`` of a stream: a picture of the best candidate so far."""

    iteration: int
    index: int
    """Place in the plan, from 0."""

    step: float
    image: Base64Picture


class PlanStatus(Schema):
    """A plan that was asked for, finished or not."""

    id: str
    """What it goes by in the path, from its beginning on."""

    status: Literal["queued", "running", "done", "failed", "cancelled"]
    result: PlanResponse | None
    """The plan, once it is done."""

    problem: Problem | None
    """Why it failed or was cancelled."""
