"""Everything that fixes the shape and the use of a control model; stored with its weights."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from world_models.training.fit import PositiveFloat, PositiveInt, ShareBelowOne

GROUP = 8
"""Numbers of a latent that are positive and add up to one."""
Part = Literal["bodies", "keypoints"]


class ControlSizes(BaseModel):
    """What is chosen before there is data."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reads: tuple[Part, ...] = ("bodies", "keypoints")
    """What of a picture enters: the bodies that the detector knows, its keypoints, or both."""
    frames: Annotated[int, Field(ge=1)] = 3
    """Pictures that are looked at, the last ones, with the actions between them."""
    width: PositiveInt = 128
    """Units of every hidden layer."""
    latent: PositiveInt = 64
    """Z, numbers of the latent state."""
    bins: Annotated[int, Field(ge=2)] = 51
    """Values between which rewards and values are told: the squares of evenly spaced numbers."""
    critics: PositiveInt = 2
    """Value heads."""
    discount: ShareBelowOne = 0.98
    """What a reward counts for after one more step."""

    @model_validator(mode="after")
    def _fits(self) -> "ControlSizes":
        if self.latent % GROUP:
            raise ValueError(f"latent {self.latent} must be a multiple of {GROUP}")
        if not self.reads or len(set(self.reads)) < len(self.reads):
            raise ValueError("reads must name bodies, keypoints or both, each once")
        return self


class ControlConfig(ControlSizes):
    """A control model."""

    kind: Literal["control"] = "control"
    task: str = Field(min_length=1)
    """The task that it was trained to do."""
    detector: str
    """SHA-256 of the weights of the Struct-VRNN whose features it reads."""
    actions: PositiveInt
    """A, actuators of the task."""
    measured: PositiveInt
    """M, numbers per picture."""
    most_reward: PositiveFloat = 1.0
    """The largest reward of a step; the least is 0."""

    @property
    def inputs(self) -> int:
        """F: the last picture, the changes that led to it, and the actions in between."""
        return self.frames * self.measured + (self.frames - 1) * self.actions
