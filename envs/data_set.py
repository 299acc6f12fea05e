"""What a data set is: one value, declared where its data are drawn, that ``python -m envs.collect`` makes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from world_models.data import (
    DataError,
    Scalar,
    Sequences,
    read_identity,
    shard_path,
    write_shard,
)
from world_models.jobs.cluster import RayAddress
from world_models.jobs.identity import differences
from world_models.jobs.workers import cores

SIZE = 250
"""Sequences of a shard."""
Draw = Callable[[int, int, int], tuple[Sequences, dict[str, Scalar]]]
"""(seed, number of the first, how many) -> sequences, and what the simulator alone can say of them."""


@dataclass(frozen=True)
class Shards:
    """Settings of data that are made here."""

    out: Path
    """Folder of the shards."""
    sequences: int
    """How many sequences; rounded up to whole shards of 250."""
    seed: int = 0
    workers: int = cores()
    ray: RayAddress = None
    """Draw on the machines of a Ray cluster: --ray alone finds one, or starts one here."""


@dataclass(frozen=True)
class Part:
    """One folder of shards. It is sent to the processes that draw them."""

    out: Path
    origin: dict[str, Scalar]
    """What its content depends on beside the seed: environment, version, settings. All shards say so."""
    draw: Draw

    def write(self, seed: int, index: int) -> None:
        """Draw and write shard ``index``."""
        first = index * SIZE
        sequences, more = self.draw(seed, first, SIZE)
        attributes: dict[str, Scalar] = {"first_index": first, **more}
        write_shard(shard_path(self.out, index), sequences, attributes, self.identity(seed))

    def identity(self, seed: int) -> dict[str, Scalar]:
        """All that the content of the folder depends on."""
        return {**self.origin, "seed": seed}


@dataclass(frozen=True)
class DataSet:
    """What can be collected under a name."""

    name: str
    settings: type[Any]
    """What its command line asks for; subclasses of :class:`Shards` where the data are made here."""
    collect: Callable[[Any], "Sequence[Part] | None"]
    """The folders that settings ask for, to be drawn here; None where it has read what users bring.

    Raises:
        ValueError: a setting is wrong.
        DataError: what was to be read is missing or damaged.
    """


def check_made_with(path: Path, wanted: Mapping[str, Scalar]) -> None:
    """Make sure that a shard was made with exactly these settings.

    Raises:
        DataError: it was not, or does not say; or the file is no shard.
    """
    found = read_identity(path)
    if found is None:
        raise DataError(f"{path} was made by an older version of this code; choose another --out")
    if changed := differences(found, wanted):
        made, asked = (", ".join(f"{k} {one.get(k, '-')}" for k in changed) for one in (found, wanted))
        raise DataError(
            f"{path} was made with {made}, not with {asked}; choose another --out or the same settings"
        )
