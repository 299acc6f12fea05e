"""What travels over the wire for actions."""

from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from server.plans.schemas import Position
from server.predictions.schemas import MAX_STEPS, ActionSequence, ContextRequest
from server.schemas import MAX_SEED, Answer, Base64Picture, Calibration, ModelRef, Schema

ACTIONS_PATH = "/v1/actions"

MAX_ITERATIONS = 20
MIN_CANDIDATES, MAX_CANDIDATES = 2, 512
MAX_IMAGINED = 20_000
"""Most control steps that the search for one action may imagine."""

Objective = Literal["push", "keypoints", "reward", "goal", "value"]
_WITHOUT_TASK = ("push", "keypoints")


class ActionRequest(ContextRequest):
    """What has been seen and done, where to go, and how to search for the next action."""

    objective: Objective = "push"
    """``push``: the object to where the subgoal shows it. ``keypoints``: what the subgoal shows, as the goal
    that is stored with the model weighs its keypoints, or a body. In tasks of DM Control, ``reward``: what is
    predicted to be earned; ``value``: that, and what is worth from then on, by a control model; ``goal``:
    what the subgoal shows."""

    task: str | None = Field(default=None, max_length=200, examples=["cartpole-balance"])
    """Name of a task of the model in ``GET /v1/models``; not for ``push`` and ``keypoints``."""

    subgoal: Base64Picture | None = None
    """PNG or JPEG in base64, square, of the model's size or up to 1024 pixels: where to go next. Not for
    ``reward`` and ``value``."""

    plan: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    """Instead of ``subgoal``: the ``id`` of a plan of this server, ..."""

    index: int | None = Field(default=None, ge=0, examples=[0])
    """... and which of its subgoals, from 0, ..."""

    step: int | None = Field(default=None, ge=0, examples=[0])
    """... or, with ``keypoints`` and a plan that is followed frame by frame, how many steps were done since
    it was made: the frames that come next are followed, one for each step, and then the goal picture."""

    path: Annotated[list[Base64Picture], Field(min_length=1, max_length=MAX_STEPS)] | None = None
    """Instead of ``subgoal``, with ``keypoints``: what is to be seen after each of the coming steps,
    likewise; whoever has arrived stays at the last one."""

    calibration: Calibration | None = None
    """How the frames are to be corrected: that of a plan's reply. A plan that is named brings its own. ..."""

    start: Base64Picture | None = None
    """... Or it is found anew in the first picture of the scene, likewise, ..."""

    goal: Base64Picture | None = None
    """... and its goal picture, likewise."""

    warm_start: ActionSequence | None = None
    """That of the previous reply; left out at the first step and after a change of subgoal."""

    seed: int | None = Field(default=None, ge=0, le=MAX_SEED, examples=[7])
    """Seed of the search; drawn and returned if left out."""

    candidates: int | None = Field(default=None, ge=MIN_CANDIDATES, le=MAX_CANDIDATES, examples=[48])
    """Action sequences per iteration; the default of ``GET /v1/models`` if left out."""

    iterations: int | None = Field(default=None, ge=1, le=MAX_ITERATIONS, examples=[2])
    """Rounds of the search; likewise."""

    horizon: int | None = Field(default=None, ge=1, le=MAX_STEPS, examples=[8])
    """Steps looked ahead; likewise."""

    render: bool = False
    """Whether to draw pictures of what is expected."""

    @model_validator(mode="after")
    def _one_way(self) -> "ActionRequest":
        if (self.objective in _WITHOUT_TASK) != (self.task is None):
            raise PydanticCustomError(
                "task",
                "The objectives reward, value and goal need a task; "
                "push, the default, and keypoints take none.",
            )
        places = [self.index, self.step].count(None)
        ways = [self.subgoal, self.path, self.plan].count(None)
        if ways < 2 or places != (2 if self.plan is None else 1):
            raise PydanticCustomError(
                "subgoal", "Send either subgoal, or path, or plan and one of index and step."
            )
        if (self.start is None) != (self.goal is None) or None not in (self.start, self.calibration):
            raise PydanticCustomError(
                "calibration", "Send either a calibration or start and goal, or neither."
            )
        return self


class ExpectedStep(Schema):
    """One step of the chosen sequence, and what the model expects on arriving at its end."""

    action: list[float]

    object_position: Position | None
    """Where the object is expected; null unless the objective is ``push``."""

    finger_position: Position | None
    """Where what moves the object is expected; likewise."""

    reward: float | None
    """The reward expected; null unless the objective is ``reward`` or ``value``."""

    image: Base64Picture | None
    """PNG; null if none were wanted."""


class ActionContent(Schema):
    """The action proper: the same request with the same seed gives the same bytes."""

    model: ModelRef
    objective: Objective
    task: str | None
    reward_head: str | None
    """SHA-256 of the manifest of the head that predicted rewards, null if none did."""
    seed: int
    candidates: int
    iterations: int
    horizon: int
    subgoal_position: Position | None
    """Where the subgoal shows the object; null unless the objective is ``push``."""
    action: list[float]
    """What to do now, in [-1, 1]."""
    warm_start: list[list[float]]
    """To be sent with the next request, unless the subgoal changes."""
    cost: float | None
    """Of the chosen sequence. ``push``: predicted distance of the object from its place in the subgoal, plus
    a tenth of that between it and what moves it, in pixels; ``keypoints``: distance from the subgoal, or from
    the path, in the goal's unit (the median move of a frame; pixels for a body), the mean over the steps;
    ``reward``: minus the sum of rewards; ``value``: minus the discounted sum of all rewards to come;
    ``goal``: mean squared distance of keypoints. Null if no sequence had a finite one."""
    expected: list[ExpectedStep]


class ActionAnswer(ActionContent):
    """An action, and how the frames were seen."""

    undigested = frozenset({"calibration"})

    calibration: Calibration
    """How the frames were corrected. It has no part in ``digest``."""


class ActionResponse(Answer, ActionAnswer):
    """The next action and how it came about."""
