"""``python -m world_models.export runs/room-dynamics/model --out room.pt2``: the roll-out of a KeyIn or a
Struct-VRNN as a programme of ``torch.export``.

It takes the frames seen ``[B T 3 H W]`` (0 to 1), the actions between them ``[B T-1 A]`` and decisions
``[B L D]`` (actions, or latents of KeyIn), and answers features ``[B L F]`` and times in frames ``[B L]``.
"""

from dataclasses import dataclass
from pathlib import Path

import tyro

from world_models.export.programme import export, load_exportable, shapes_of, write_programme
from world_models.jobs.command import command
from world_models.jobs.outputs import check_outputs


@dataclass(frozen=True)
class Export:
    """What to export, and for which shapes."""

    model: tyro.conf.Positional[str]
    """A shipped name, a model folder, or a repository OWNER/NAME of the Hugging Face Hub."""
    out: Path = Path("model.pt2")
    """For torch.export.load."""
    rows: int = 1
    """B, futures at once."""
    frames: int | None = None
    """T, frames seen; what the model needs if left out."""
    steps: int | None = None
    """L, steps imagined; all keyframes of KeyIn, or 8 control steps if left out."""


@command()
def main() -> None:
    """Command line entry point."""
    wanted = tyro.cli(Export, prog="python -m world_models.export", description=__doc__)
    check_outputs("--out", wanted.out)
    model, kind = load_exportable(wanted.model)
    shapes = shapes_of(model, wanted.rows, wanted.frames, wanted.steps)
    write_programme(export(model, shapes), wanted.out)
    size = shapes.image_size
    print(
        f"{kind}: frames [{shapes.rows} {shapes.frames} 3 {size} {size}], "
        f"actions [{shapes.rows} {shapes.frames - 1} {shapes.actions}], "
        f"decisions [{shapes.rows} {shapes.steps} {shapes.decision}]\nwritten: {wanted.out}"
    )


if __name__ == "__main__":
    main()
