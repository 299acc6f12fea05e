"""What travels over the wire for closed-loop episodes."""

from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from server.plans.schemas import Position
from server.scenes.schemas import Layout, SceneRequest
from server.schemas import MAX_SEED, Answer, Base64Picture, ModelRef, Schema

EPISODES_PATH = "/v1/episodes"

MAX_EPISODE_STEPS = 500
DEFAULT_REWARD_STEPS = 100

EpisodeStop = Literal["goal", "steps", "deadline", "cancelled", "diverged"]


class EpisodeRequest(SceneRequest):
    """Where to act, with what, and for how long."""

    plan: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    """For pushing: the ``id`` of a plan of this server to follow; one is made first if left out."""

    planner: str | None = Field(default=None, max_length=200, examples=["keyin-push"])
    """Which model is to make the plan; the best one there if left out."""

    servo: Literal["learned", "simulator"] | None = None
    """For pushing: where the next action is searched for, in a world model (if left out) or the simulator."""

    model: str | None = Field(default=None, max_length=200, examples=["struct-vrnn-push"])
    """The world model that acts; the best one there if left out."""

    objective: Literal["reward", "value"] | None = None
    """What is sought in tasks of DM Control: predicted reward, or that and what is worth from then on, by a
    control model; whatever the best model there seeks if left out."""

    episode_seed: int | None = Field(default=None, ge=0, le=MAX_SEED, examples=[7])
    """Seed of all searches; drawn and returned if left out."""

    steps: int | None = Field(default=None, ge=1, le=MAX_EPISODE_STEPS, examples=[60])
    """Most control steps; if left out all that a pushing task allows, or 100."""

    @model_validator(mode="after")
    def _one_plan(self) -> "EpisodeRequest":
        if self.plan is not None and self.planner is not None:
            raise PydanticCustomError("planner", "Send either a plan or who is to make one.")
        return self


class FrameEvent(Schema):
    """Event ``frame`` of a stream: the start, and then what each control step led to."""

    step: int
    """0 for the start."""

    image: Base64Picture
    """PNG."""

    subgoal: int | None
    """Which picture of the plan the step pursued (the first will, for the start); null without a plan."""

    distance: float | None
    """The object's shortest way to the goal in table units; null in tasks of DM Control."""

    object_position: Position | None
    """Where the object is seen in the picture; null where it is not, and in tasks of DM Control."""

    reward: float | None
    """What was paid on arriving here, in tasks of DM Control; null at the start."""

    action: list[float] | None
    """What led here; null at the start."""


class EpisodeContent(Schema):
    """The episode proper: the same request with the same seeds gives the same bytes.

    That holds as long as ``stop_reason`` is neither ``deadline`` nor ``cancelled``.
    """

    environment: str
    seed: int | None
    """Seed of the start; null if it was set up from pictures."""

    episode_seed: int
    layout: Layout | None
    """Where things stood at the start, for pushing: as drawn, or as read off the pictures."""

    planner: ModelRef | None
    """Who made the plan; null if it was given, or if there is none."""

    plan: str | None
    """``id`` of the plan that was followed."""

    subgoals: list[Base64Picture]
    """PNGs of the plan. In place of the last one the goal picture was pursued."""

    servo: Literal["learned", "simulator"]
    model: ModelRef | None
    """The world model that acted; null with the simulator."""

    steps: int
    """Control steps taken."""

    stop_reason: EpisodeStop
    """``goal``: reached, as far as can be seen; ``steps``: all were taken; ``deadline``: more would not have
    fitted; ``cancelled``: the server was shutting down; ``diverged``: the simulation broke down."""

    success: bool | None
    """Pushing: whether the object is within 0.30 table units of the goal; else null, like all that follow."""

    strict_success: bool | None
    """Within 0.15."""

    distance: float | None
    """The object's shortest way to the goal in table units, at the end ..."""

    initial_distance: float | None
    """... and at the start."""

    frames: list[Base64Picture]
    """PNG of the start and after every step."""

    actions: list[list[float]]
    """The action between each frame and the next."""

    pursued: list[int]
    """Which of ``subgoals`` each step was after; empty without a plan."""

    rewards: list[float] | None
    """Tasks of DM Control: what was paid on arriving at each frame after the first."""

    forecast: list[float | None] | None
    """Where a control model acted: what it expected, at each frame but the last, of all rewards to come, each
    step's worth ``discount`` times that of the step before; null at a frame where nothing finite was
    expected."""

    discount: float | None
    """Likewise."""


class EpisodeResponse(Answer, EpisodeContent):
    """An episode and how it came about."""
