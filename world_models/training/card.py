"""The sections that the card of every trained model has: what it learned from, and how."""

import json
from collections.abc import Iterable, Mapping

from pydantic import BaseModel

from world_models.data import SequenceDataset, read_attributes


def data_section(lines: Iterable[str]) -> str:
    """What a model learned from, line by line."""
    return "\n".join(["## Data", *lines])


def data_line(text: str, data: SequenceDataset) -> str:
    """One of several data sets: some words about it, and where it is from."""
    return f"- {text}; first shard {first_shard(data)}"


def first_shard(data: SequenceDataset) -> str:
    """Where a data set is from: the attributes of its first shard."""
    return f"`{json.dumps(read_attributes(data.paths[0]), sort_keys=True)}`"


def training_section(command: str, seed: int, settings: BaseModel | Mapping[str, BaseModel]) -> str:
    """How a model learned: the command that started it, and its settings, of several parts by name."""
    if isinstance(settings, BaseModel):
        lines = [f"- {settings.model_dump_json()}"]
    else:
        lines = [f"- {name}: {part.model_dump_json()}" for name, part in settings.items()]
    return "\n".join(["## Training", f"`{command}` (seed {seed})", "", *lines])
