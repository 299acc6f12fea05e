"""Write a data set in the form of others: ``python -m envs.export minari --data data/push --out exported``.

``minari`` and ``lerobot`` (version 2.1) keep pictures, actions, rewards and states, ``mp4`` writes films to
look at. ``python -m envs.collect`` brings all of them back.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import tyro
from tqdm import tqdm

from world_models.data import DataError, SequenceDataset
from world_models.jobs.command import command


@dataclass(frozen=True, kw_only=True)
class Export:
    """What is exported, and where to."""

    data: Path
    """Folder of shards."""
    out: Path
    """Folder to write; there must be nothing in it."""

    def write(self, data: SequenceDataset) -> None:
        """Write all sequences.

        Raises:
            ValueError: the folder holds something already, or the data does not fit the form.
        """
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Filmed(Export):
    """The same with films."""

    fps: float = 10
    """Pictures per second of the films."""


@dataclass(frozen=True, kw_only=True)
class Minari(Export):
    """A data set of Minari in HDF5, without loss, an episode per sequence; readable from Minari 0.5.4 on."""

    def write(self, data: SequenceDataset) -> None:
        """See :meth:`Export.write`."""
        from envs.exported.minari import export_minari

        export_minari(data, self.out)


@dataclass(frozen=True, kw_only=True)
class LeRobot(Filmed):
    """A data set of LeRobot 2.1, an episode per sequence; films lose a little, and it needs pyarrow
    (pip install 'waymark[formats]').
    """

    def write(self, data: SequenceDataset) -> None:
        """See :meth:`Export.write`."""
        from envs.exported.lerobot import export_lerobot

        export_lerobot(data, self.out, self.fps)


@dataclass(frozen=True, kw_only=True)
class Mp4(Filmed):
    """A film per episode, to look at; episodes that were cut into sequences are whole again."""

    def write(self, data: SequenceDataset) -> None:
        """See :meth:`Export.write`."""
        from envs.exported.mp4 import export_mp4

        export_mp4(data, self.out, self.fps)


FORMS: Mapping[str, type[Export]] = {"minari": Minari, "lerobot": LeRobot, "mp4": Mp4}


@command()
def main() -> None:
    """Command line entry point."""
    settings = tyro.extras.subcommand_cli_from_dict(
        dict(FORMS), prog="python -m envs.export", description=__doc__
    )
    data = SequenceDataset(settings.data)
    if not len(data):
        raise DataError(f"{settings.data} has no sequences")
    settings.write(data)
    tqdm.write(f"{len(data)} episodes of {data.shapes['frames'][0]} pictures in {settings.out}")


if __name__ == "__main__":
    main()
