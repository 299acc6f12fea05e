"""The eye: where pictures enter models. It maps pictures of a known world to ones as in training."""

from world_models.eye.calibration import STANDARD, Calibration, Tone
from world_models.eye.eye import DOUBTFUL, STRANGE, Eye
from world_models.eye.reference import EyeStage, Reference, collect_reference, reference_of

__all__ = [
    "DOUBTFUL",
    "STANDARD",
    "STRANGE",
    "Calibration",
    "Eye",
    "EyeStage",
    "Reference",
    "Tone",
    "collect_reference",
    "reference_of",
]
