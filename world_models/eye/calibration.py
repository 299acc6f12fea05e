"""What an eye has found out about a scene: a frozen value that can be stored, sent and applied again."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Byte = Annotated[float, Field(ge=0, le=255)]
Bright = Annotated[float, Field(gt=0, le=255)]
Exponent = Annotated[float, Field(gt=0, le=10)]
Angle = Annotated[float, Field(ge=-15, le=15)]
Channels = tuple[Byte, Byte, Byte]


class Tone(BaseModel):
    """A power law per channel: ``y = to (x / from) ^ exponent``, in bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    brightest: tuple[Bright, Bright, Bright]
    """The brightest of red, green and blue in the scene ..."""
    becomes: tuple[Bright, Bright, Bright]
    """... and what it is in the training data."""
    exponent: tuple[Exponent, Exponent, Exponent]
    """Curvature; 1 where the light is only stronger or weaker."""


class Calibration(BaseModel):
    """How pictures of a scene differ from those of the training data, and so how they are corrected."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tone: Tone | None = None
    """Light and colour balance; None where they are as in training."""
    pitch_degrees: Angle = 0.0
    """How far up the camera is turned (negative: down), so that things are seen too low."""
    yaw_degrees: Angle = 0.0
    """How far to the left it is turned (negative: right), so that things are seen too far right."""
    object_colour: Channels | None = None
    """Red, green, blue of what is to be moved, in corrected bytes; None where it is as in training."""

    @property
    def turned(self) -> bool:
        """Whether the camera looks elsewhere."""
        return self.pitch_degrees != 0.0 or self.yaw_degrees != 0.0


STANDARD = Calibration()
"""Nothing to correct: pictures pass unchanged, bit for bit."""
