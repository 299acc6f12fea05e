"""How a data set was recorded: what pictures and actions have to be like for models of it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from world_models.data import SequenceDataset, read_attributes


@dataclass(frozen=True)
class Recording:
    """Settings of ``python -m envs.collect gym``, as the data's attributes and the runs that used it say."""

    size: int
    """Width and height of the pictures."""
    fit: str
    """What became of pictures that are no squares."""
    skip: int
    """Steps of the environment between two pictures."""
    policy: str
    """Who acted."""
    max_steps: int | None
    """Most steps of an episode."""
    seed: int
    """What the episodes were played with."""

    @classmethod
    def from_attributes(cls, found: Mapping[str, Any], where: str) -> "Recording":
        """Of the attributes of a shard.

        Raises:
            ValueError: they are not of a recorded environment.
        """
        if found.get("environment") != "gym" or not {"size", "fit", "skip", "policy"} <= found.keys():
            raise ValueError(f"{where} is not of a data set that python -m envs.collect gym recorded")
        steps = found.get("max_steps", "")
        return cls(
            size=int(found["size"]),
            fit=str(found["fit"]),
            skip=int(found["skip"]),
            policy=str(found["policy"]),
            max_steps=None if steps == "" else int(steps),
            seed=int(found.get("seed", 0)),
        )


def find_recording(data: Path | None, model: Path) -> Recording:
    """Of a data set, or else of the one that the run behind a model folder learned from.

    Raises:
        DataError: there is no data.
        ValueError: neither says how it was recorded.
    """
    if data is not None:
        return Recording.from_attributes(read_attributes(SequenceDataset(data).paths[0]), str(data))
    run = model.resolve().parent / "run.json"
    if not run.is_file():
        raise ValueError(
            f"{model} lies in no run that says what its data were like; give their folder as --data"
        )
    known = json.loads(run.read_text())["data"]
    shards = known.get("", known).get("shards", [{}])
    return Recording.from_attributes(shards[0], f"what {run} says of the data")
