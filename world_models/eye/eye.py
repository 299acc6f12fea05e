"""An eye: calibrated on a scene once, then applied to every picture of it before a model sees it."""

import hashlib
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from safetensors.torch import save

from world_models.eye.calibration import STANDARD, Calibration
from world_models.eye.edges import agreement, find_edges
from world_models.eye.palette import find_colour, recolour
from world_models.eye.reference import Reference, coarse
from world_models.eye.tone import apply_tone, find_tone
from world_models.eye.view import find_view, undo_turn

STRANGE = 0.6
"""Strangeness beyond which a picture is of something else: other worlds, photographs and noise have 0.7 to 1,
pictures in other light, colours or views up to 0.5.
"""
DOUBTFUL = 0.45
"""Strangeness beyond which it may be."""
_TELLING = 0.2
_MOVED = 1
"""Pixels that a corrected view may still be off."""
_OTHER = 40
"""Bytes by which a channel of a pixel differs from that of the background if something else is there."""
_FOREIGN = 0.3
"""Share of pixels of unknown colours in a picture that is altogether strange."""


@dataclass(frozen=True)
class Eye:
    """How a model sees pictures of the world: as they would be in the light, view and colours of training.

    Only pictures of the world pass through an eye; those that a model has made are as in training anyway.
    """

    reference: Reference | None = None
    """What pictures looked like in training. Without it nothing is ever corrected."""

    def calibrate(
        self, first: UInt8[np.ndarray, "H W 3"], goal: UInt8[np.ndarray, "H W 3"] | None = None
    ) -> Calibration:
        """How the scene differs from those of the training data; ``goal`` is None where there is no picture
        of it. :data:`STANDARD` for pictures of another size than those of the training data.
        """
        if self.reference is None or first.shape != self.reference.background.shape:
            return STANDARD
        seen = np.stack([first] if goal is None else [first, goal])
        tone = find_tone(seen, self.reference)
        seen = seen if tone is None else apply_tone(seen, tone)
        pitch, yaw = find_view(seen, self.reference)
        found = Calibration(tone=tone, pitch_degrees=pitch, yaw_degrees=yaw)
        if goal is None or self._usual is None:
            return found
        seen = undo_turn(seen, pitch, yaw, self.reference) if found.turned else seen
        colour = find_colour(seen[0], seen[1], self._usual, self.reference)
        return found.model_copy(update={"object_colour": colour})

    def see(
        self, pictures: UInt8[np.ndarray, "*batch H W 3"], calibration: Calibration
    ) -> UInt8[np.ndarray, "*batch H W 3"]:
        """Pictures of the calibrated scene as the model is to see them."""
        if self.reference is None or calibration == STANDARD:
            return pictures
        if calibration.tone is not None:
            pictures = apply_tone(pictures, calibration.tone)
        if calibration.turned:
            turn = (calibration.pitch_degrees, calibration.yaw_degrees)
            pictures = undo_turn(pictures, *turn, self.reference)
        if calibration.object_colour is not None and self._usual is not None:
            pictures = recolour(pictures, calibration.object_colour, self._usual, self.reference)
        return pictures

    def strangeness(self, picture: UInt8[np.ndarray, "H W 3"], calibration: Calibration) -> float:
        """How little a picture, once corrected, looks like those of training: 0 as they do, 1 not at all.

        It is judged by the edges of what does not move, and by how many pixels have a colour that is neither
        that of the background nor a common one. Where training pictures have no edges in common, or the size
        is another one, nothing is strange.
        """
        known = self.reference
        if known is None or picture.shape != known.background.shape or known.agreement < _TELLING:
            return 0.0
        seen = self.see(picture, calibration)
        likeness = agreement(seen, find_edges(known.background), _MOVED)
        far = np.abs(seen.astype(int) - known.background).max(axis=-1) > _OTHER
        unknown = (far & ~known.common[coarse(seen)]).mean() / _FOREIGN
        return float(np.clip(1 - likeness / known.agreement + unknown, 0, 1))

    @property
    def digest(self) -> str | None:
        """SHA-256 that names exactly what it knows; None if that is nothing."""
        if self.reference is None:
            return None
        return hashlib.sha256(save(self.reference.to_tensors())).hexdigest()

    @property
    def _usual(self) -> tuple[float, float, float] | None:
        """The object's colour in training, in bytes; that of a single object, not those of several."""
        if self.reference is None or np.isnan(self.reference.object_colour).any():
            return None
        red, green, blue = self.reference.object_colour.tolist()
        return red, green, blue
