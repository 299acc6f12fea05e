"""Factors of variation of the pushing worlds, as one value."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from envs.corruption import CLEAN, Corruption
from envs.factors import Colour, Gains, Shift
from envs.push.variation.distractors import Distractor

Azimuth = Annotated[float, Field(ge=-360, le=360)]
Elevation = Annotated[float, Field(ge=10, le=90)]
MOST_DISTRACTORS = 4


class Variation(BaseModel):
    """Factors of variation of the pushing environment; the defaults are the training distribution."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    puck_color: Colour = (0.80, 0.12, 0.75)
    wall_color: Colour = (0.16, 0.33, 0.78)
    table_color: Colour = (0.42, 0.30, 0.20)
    table_texture: float = Field(
        0.0, ge=0, le=0.4, description="grain on the table: relative standard deviation of its brightness"
    )
    light: float = Field(1.0, gt=0, le=2, description="factor on every light's intensity")
    light_color: Gains = Field((1.0, 1.0, 1.0), description="factors on every light's red, green and blue")
    light_from: tuple[Azimuth, Elevation] | None = Field(
        None,
        description="where the sun stands, degrees: azimuth, counter-clockwise from the right of the table, "
        "and elevation above it; None: where it usually stands, near (214, 70)",
    )
    camera_pitch: float = Field(0.0, ge=-10, le=10, description="degrees added to the camera's pitch")
    camera_yaw: float = Field(0.0, ge=-10, le=10, description="degrees that the camera is turned to the left")
    camera_shift: Shift = Field(
        (0.0, 0.0), description="pixels of 64 by which all that is seen moves, to the right and down"
    )
    puck_radius: float = Field(1.0, ge=0.8, le=1.2, description="factor on the puck's radius")
    friction: float = Field(1.0, gt=0, le=4, description="factor on the table's resistance to the puck")
    distractors: tuple[Distractor, ...] = Field(
        (), max_length=MOST_DISTRACTORS, description="things that lie about and that nothing touches"
    )
    corruption: Corruption = Field(CLEAN, description="what happens to pictures after they are drawn")

    def changed(self) -> dict[str, Any]:
        """Every factor that is not the default, by name; those of pictures as ``corruption.<name>``."""
        own = {name: getattr(self, name) for name in type(self).model_fields if name != "corruption"}
        pictures = {f"corruption.{name}": value for name, value in self.corruption}
        standard = {**dict(STANDARD), **{f"corruption.{name}": value for name, value in CLEAN}}
        return {name: value for name, value in {**own, **pictures}.items() if value != standard[name]}

    def combined(self, other: "Variation") -> "Variation":
        """Both changes at once.

        Raises:
            ValueError: they change the same factor.
        """
        if shared := self.changed().keys() & other.changed().keys():
            raise ValueError(f"both change {', '.join(sorted(shared))}; combine variations of other factors")
        corruption = Corruption(
            **self.corruption.model_dump(exclude_defaults=True),
            **other.corruption.model_dump(exclude_defaults=True),
        )
        factors = {name: value for name, value in other.changed().items() if "." not in name}
        return self.model_copy(update={**factors, "corruption": corruption})


STANDARD = Variation()
