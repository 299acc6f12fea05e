"""How pictures of a request pass through the eye of the model that is to see them."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import UInt8

from planner.loaded import ReadyModel
from server import schemas
from server.errors import StrangePicture
from world_models.eye import DOUBTFUL, STRANGE, Calibration, Eye

Frames = UInt8[np.ndarray, "T H W 3"]


def usual_picture(model: ReadyModel) -> UInt8[np.ndarray, "H W 3"]:
    """A picture of the model's world without what moves in it; black where the model has no eye."""
    if model.eye.reference is None:
        return np.zeros((model.image_size, model.image_size, 3), np.uint8)
    return model.eye.reference.background.copy()


def check_world(eye: Eye, pictures: Mapping[str, UInt8[np.ndarray, "H W 3"]], look: Calibration) -> list[str]:
    """Doubts about whether pictures, by the names of their fields, are of the model's world.

    Raises:
        StrangePicture: one is not.
    """
    doubts = []
    for field, picture in pictures.items():
        strangeness = eye.strangeness(picture, look)
        if strangeness > STRANGE:
            raise StrangePicture(field, strangeness, STRANGE)
        if strangeness > DOUBTFUL:
            doubts.append(
                f"The {field} picture differs by {strangeness:.2f} from what the model knows; "
                f"answers are less sure from {DOUBTFUL:.2f} on."
            )
    return doubts


def correct(eye: Eye, frames: Frames, field: str = "frames") -> tuple[Frames, Calibration]:
    """Frames of one scene as the model is to see them, and how they were corrected: by the first of them.

    Raises:
        StrangePicture: the first one is of another world.
    """
    look = eye.calibrate(frames[0])
    check_world(eye, {f"{field}.0": frames[0]}, look)
    return eye.see(frames, look), look


def to_calibration(look: Calibration) -> schemas.Calibration:
    """How pictures were corrected, as it travels."""
    return schemas.Calibration.model_validate(look.model_dump())


def from_calibration(sent: schemas.Calibration) -> Calibration:
    """The inverse of :func:`to_calibration`."""
    return Calibration.model_validate(sent.model_dump())
