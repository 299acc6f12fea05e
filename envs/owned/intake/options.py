"""What can be asked of every source alike."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from envs.owned.sources.pictures import Fit
from world_models.data import Scalar


@dataclass(frozen=True, kw_only=True)
class Options:
    """Settings of data that users bring."""

    out: Path
    """Folder of the shards, and of contact-sheet.png, which shows what came in."""
    size: Literal[64, 96, 128] = 64
    """Width and height of the pictures, which are shrunk by area."""
    fit: Fit = "crop"
    """What becomes of pictures that are no squares: crop cuts out the middle, pad adds black bars."""
    skip: int = 1
    """Every so many pictures one is kept; actions in between are averaged, rewards are summed."""
    frames: int = 31
    """Length of a sequence. Episodes are cut into consecutive sequences, the last of which ends with the
    episode and may overlap; shorter episodes are left out."""
    test: float = 0.1
    """Share of the episodes that are for testing; they come last."""

    def check(self) -> None:
        """Make sure that numbers are in range.

        Raises:
            ValueError: one is not.
        """
        if self.skip < 1:
            raise ValueError(f"--skip must be at least 1, got {self.skip}")
        if self.frames < 2:
            raise ValueError(f"--frames must be at least 2, got {self.frames}")
        if not 0 <= self.test < 1:
            raise ValueError(f"--test must be a share from 0 to less than 1, got {self.test:g}")

    def identity(self) -> dict[str, Scalar]:
        """All that was asked for, but where data lie; an option that was not given is an empty string."""
        places = ("out", "source", "episodes")
        given: Mapping[str, Scalar | None] = {
            field.name: getattr(self, field.name) for field in fields(self) if field.name not in places
        }
        return {name: "" if value is None else value for name, value in given.items()}


def split(count: int, share: float) -> int:
    """How many of the first episodes are for training: one at least, and one at least is for testing if a
    share is asked for and there are two.
    """
    tests = max(1, round(share * count)) if share else 0
    return count - min(tests, count - 1)
