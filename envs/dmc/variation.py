"""How a DM Control world may look otherwise than in training; physics and true state stay as they are."""

import mujoco
from pydantic import BaseModel, ConfigDict, Field

from envs.factors import Colour, Shift
from envs.rendering import shift_picture

BODY = "self"
"""Material that DM Control gives to what moves; targets, floors and decoration have others."""


class DmcVariation(BaseModel):
    """Factors of variation of the DM Control worlds; the defaults are what models are trained on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    light: float = Field(1.0, gt=0, le=2, description="factor on every light's intensity")
    body_color: Colour | None = Field(None, description="colour of what moves; None: as in training")
    camera_shift: Shift = Field(
        (0.0, 0.0), description="pixels of 64 by which all that is seen moves, to the right and down"
    )


STANDARD = DmcVariation()


def vary(model: mujoco.MjModel, camera: str, variation: DmcVariation) -> None:
    """Change how the model looks to the named camera."""
    headlight = model.vis.headlight
    for lights in (
        model.light_ambient,
        model.light_diffuse,
        model.light_specular,
        headlight.ambient,
        headlight.diffuse,
        headlight.specular,
    ):
        lights *= variation.light
    if variation.body_color is not None:
        model.material(BODY).rgba[:3] = variation.body_color
    if any(variation.camera_shift):
        shift_picture(model, camera, variation.camera_shift)
