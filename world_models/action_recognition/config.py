"""Everything that fixes the shape and the use of a classifier; stored with its weights."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from world_models.training.fit import PositiveInt, ShareBelowOne


class ActionClassifierConfig(BaseModel):
    """Everything that fixes the shape and the use of a classifier; stored with its weights."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["action-classifier"] = "action-classifier"
    features: PositiveInt
    """F, numbers per frame that it reads."""
    classes: Annotated[tuple[str, ...], Field(min_length=2)]
    """K names of actions, in the order of the labels."""
    width: PositiveInt = 128
    """Units of each recurrent layer."""
    dropout: ShareBelowOne = 0.25
    """Share of the units that training leaves out after each recurrent layer."""
