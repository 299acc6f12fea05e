"""Sizes of a Kalman model."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from world_models.training.fit import PositiveFloat, PositiveInt


class KalmanConfig(BaseModel):
    """Sizes.

    Attributes:
        image_size: height and width of a picture in pixels.
        most_objects: largest number N of objects.
        components: K, components of the mixture that objects start from.
        canvas: size of the renderer's state x.
        state: size of the inference network's state s.
        filter_size: height and width in pixels of the filter that looks for objects.
        scale: half the picture's width in units of the latent plane, where inference starts from. The paper's
            latent plane has no unit; what is learned later can scale and turn it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["kalman"] = "kalman"
    image_size: PositiveInt = 48
    most_objects: Annotated[int, Field(ge=1, le=9)] = 3
    components: PositiveInt = 2
    canvas: PositiveInt = 1024
    state: PositiveInt = 128
    filter_size: PositiveInt = 7
    scale: PositiveFloat = 5.0
