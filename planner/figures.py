"""What a model has been measured to be good at, for machines: ``figures.json`` beside its card.

The file is no part of the manifest, so that a new measurement does not rename the model; it names the weights
that were measured instead.
"""

import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from world_models.checkpoint import CheckpointError
from world_models.files import write_bytes

FIGURES = "figures.json"


class Figure(BaseModel):
    """How well a model does in one task, in closed loop; more is better."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str
    """``push``, ``reacher-easy``, ..."""

    measure: Literal["success", "return"]
    """``success``: share of episodes that end at the goal; ``return``: mean sum of rewards of an episode."""

    value: float = Field(allow_inf_nan=False)

    episodes: int = Field(ge=1)
    """How many, the first ones of ..."""

    manifest: str
    """... these frozen ones."""


class Figures(BaseModel):
    """All that was measured of a model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    weights_sha256: str
    measured: tuple[Figure, ...]


def read_figures(folder: Path, weights_sha256: str) -> dict[str, Figure]:
    """The figures of a model folder by task; none if nothing was measured.

    Raises:
        CheckpointError: the file is damaged, or is about other weights.
    """
    path = folder / FIGURES
    if not path.is_file():
        return {}
    try:
        figures = Figures.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise CheckpointError(f"{path} is damaged: {error.errors()[0]['msg']}; measure again") from error
    if figures.weights_sha256 != weights_sha256:
        raise CheckpointError(f"{path} is about other weights than those beside it; measure again")
    return {figure.task: figure for figure in figures.measured}


def write_figures(folder: Path, weights_sha256: str, measured: dict[str, Figure]) -> None:
    """Keep the figures of a model folder, whole, in the order of their tasks."""
    figures = Figures(
        weights_sha256=weights_sha256, measured=tuple(measured[task] for task in sorted(measured))
    )
    write_bytes(folder / FIGURES, (json.dumps(figures.model_dump(), indent=2) + "\n").encode())
