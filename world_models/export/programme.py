"""The roll-out of a model as one programme: pictures and decisions in, what is imagined out.

``torch.export`` traces the model's own code, weights included; ``torch.export.load`` runs the result where
nothing of this project is installed. Shapes are fixed when it is made.
"""

import io
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from world_models.checkpoint import read_model
from world_models.files import write_bytes
from world_models.hub.repository import find_model
from world_models.interface import Context
from world_models.jobs.command import Failure
from world_models.keyin.model import KeyIn
from world_models.struct_vrnn.model import StructVRNN

STEPS = 8
"""Control steps looked ahead unless told otherwise."""


@dataclass(frozen=True)
class Shapes:
    """What a programme takes and gives, by its letters: see :mod:`world_models.interface`."""

    rows: int
    """B."""
    frames: int
    """T."""
    steps: int
    """L."""
    actions: int
    """Numbers of an action between two of the frames seen; 0 for models that are told none."""
    decision: int
    """D."""
    image_size: int
    """H and W."""

    def example(self, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Random pictures, actions and decisions."""
        size = self.image_size
        frames = torch.rand(self.rows, self.frames, 3, size, size, generator=generator)
        actions = 2 * torch.rand(self.rows, self.frames - 1, self.actions, generator=generator) - 1
        decisions = torch.randn(self.rows, self.steps, self.decision, generator=generator).clamp(-1, 1)
        return frames, actions, decisions


class RollOut(nn.Module):
    """Encoding and imagining in one call."""

    def __init__(self, model: KeyIn | StructVRNN) -> None:
        super().__init__()
        self.model: Any = model

    def forward(
        self,
        frames: Float[Tensor, "B T C H W"],
        actions: Float[Tensor, "B T-1 A"],
        decisions: Float[Tensor, "B L D"],
    ) -> tuple[Float[Tensor, "B L F"], Float[Tensor, "B L"]]:
        """Features of what comes, and when."""
        future = self.model.imagine(self.model.encode(Context(frames, actions)), decisions)
        return future.features, future.times


def load_exportable(name: str) -> tuple[KeyIn | StructVRNN, str]:
    """The model of a shipped name, folder or repository of the Hub, and its kind.

    Raises:
        ValueError: there is no such model, or its roll-out cannot be exported.
        CheckpointError: its files are incomplete or differ from their manifest.
    """
    folder = find_model(name)
    kind = str(read_model(folder).config.get("kind"))
    if kind not in _LOADERS:
        raise ValueError(f"{name} is of the kind {kind}; roll-outs are exported of {' and '.join(_LOADERS)}")
    return _LOADERS[kind](folder), kind


_LOADERS: Mapping[str, Callable[[Path], KeyIn | StructVRNN]] = {
    "keyin": KeyIn.load,
    "struct-vrnn": StructVRNN.load,
}


def shapes_of(
    model: KeyIn | StructVRNN, rows: int, frames: int | None = None, steps: int | None = None
) -> Shapes:
    """What a model's programme is to take; left out, the frames it needs and the steps it plans, or
    :data:`STEPS`.

    Raises:
        ValueError: the model does not look at so many frames, or plans no such number of steps.
    """
    if rows < 1 or (frames is not None and frames < 1) or (steps is not None and steps < 1):
        raise ValueError("rows, frames and steps must be at least 1")
    size = model.config.image_size
    if isinstance(model, KeyIn):
        needed, most = model.config.context, model.config.keyframes
        if frames not in (None, needed):
            raise ValueError(f"this model looks at {needed} frames, not {frames}")
        if (steps or most) > most:
            raise ValueError(f"this model plans up to {most} keyframes, not {steps}")
        return Shapes(rows, needed, steps or most, 0, model.decision_dim, size)
    width = model.decision_dim
    return Shapes(rows, frames or 1, steps or STEPS, width, width, size)


def export(model: KeyIn | StructVRNN, shapes: Shapes) -> torch.export.ExportedProgram:
    """The programme of a model's roll-out on these shapes.

    Raises:
        Failure: it answers otherwise than the model.
    """
    roll_out = RollOut(model).eval()
    given = shapes.example(torch.Generator().manual_seed(0))
    with warnings.catch_warnings():
        # Recurrent layers look at their weights through a list of their own, to no effect here.
        warnings.filterwarnings("ignore", "The tensor attributes .* were assigned during export")
        programme = torch.export.export(roll_out, given)
    other = shapes.example(torch.Generator().manual_seed(1))
    # Where gradients are wanted, models do what was traced; otherwise they may take faster ways that round.
    with torch.enable_grad():
        wanted, found = roll_out(*other), programme.module()(*other)
    try:
        torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-3)
    except AssertionError as error:
        raise Failure(f"the exported programme answers otherwise than the model: {error}") from error
    return programme


def write_programme(programme: torch.export.ExportedProgram, path: Path) -> None:
    """Write it whole, for ``torch.export.load``."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # Views of one weight are stored once, and it lies on the CPU.
        warnings.filterwarnings("ignore", "No complete tensor found in the group")
        torch.export.save(programme, buffer)
    write_bytes(path, buffer.getvalue())
