"""Sizes of a Kalman model."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from world_models.training.fit import PositiveFloat, PositiveInt


class KalmanConfig(BaseModel):
    """Sizes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["kalman"] = "kalman"
    image_size: PositiveInt = 48
    """Height and width of a picture in pixels."""
    most_objects: Annotated[int, Field(ge=1, le=9)] = 3
    """Largest number N of objects."""
    components: PositiveInt = 2
    """K, components of the mixture that objects start from."""
    canvas: PositiveInt = 1024
    """Size of the renderer's state x."""
    state: PositiveInt = 128
    """Size of the inference network's state s."""
    filter_size: PositiveInt = 7
    """Height and width in pixels of the filter that looks for objects."""
    scale: PositiveFloat = 5.0
    """Half the picture's width in units of the latent plane, where inference starts from. The paper's latent
    plane has no unit; what is learned later can scale and turn it."""
    published: bool = False
    """Inference network, renderer and state-space model as the paper has them and starts them: the network
    sees whole pictures, ``filter_size`` and ``scale`` do not matter, and answers are the network's alone."""
