"""Sizes of an ED-LSTM."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from world_models.training.fit import PositiveInt


class EDLSTMConfig(BaseModel):
    """Sizes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["ed-lstm"] = "ed-lstm"
    image_size: PositiveInt = 48
    """Height and width of the pictures in pixels."""
    state: PositiveInt = 2048
    """Entries of the LSTM's state."""
    encoder: tuple[PositiveInt, ...] = (1024, 512)
    """Widths of the encoder's layers."""
    decoder: tuple[PositiveInt, ...] = (1024,)
    """Widths of the decoder's hidden layers."""
