"""Sizes of a TAP model."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from world_models.training.fit import PositiveInt


class TapConfig(BaseModel):
    """Sizes of a TAP model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["tap"] = "tap"
    embedding: PositiveInt = 96
    """Size F of a frame's embedding."""
    latent: PositiveInt = 4
    """Size Z of the decision which of several bottlenecks it is, such as the side of a wall."""
    hidden: PositiveInt = 384
    """Width of all layers."""
