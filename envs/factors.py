"""Kinds of values that the factors of variation of a world have."""

from typing import Annotated

from pydantic import Field

Channel = Annotated[float, Field(ge=0, le=1)]
Colour = tuple[Channel, Channel, Channel]
"""Red, green and blue."""
Gain = Annotated[float, Field(gt=0, le=2)]
Gains = tuple[Gain, Gain, Gain]
"""Factors on red, green and blue."""
Pixels = Annotated[float, Field(ge=-8, le=8)]
Shift = tuple[Pixels, Pixels]
"""How far a picture's content moves, to the right and down, in pixels of a picture 64 pixels wide."""
