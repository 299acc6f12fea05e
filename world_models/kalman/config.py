"""Sizes of a Kalman model."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from world_models.training.fit import Positive


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
    image_size: Positive = 48
    most_objects: Annotated[int, Field(ge=1, le=9)] = 3
    components: Positive = 2
    canvas: Positive = 1024
    state: Positive = 128
    filter_size: Positive = 7
    scale: Annotated[float, Field(gt=0)] = 5.0
