"""A run of training: its settings, its folder, the files in it."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict

from world_models.files import write_bytes


class TrainingRun(BaseModel):
    """What every training run is told."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    out: Path
    """Folder of this run; give the same one to resume."""
    seed: int = 0
    """Seed of all that is random: weights, batches, noise."""
    device: str = "cpu"
    """``cpu``, ``cuda``, ..."""
    threads: int = 1
    """CPU threads; one per process is fastest when cores are shared."""


def claim(run: TrainingRun, origin: Mapping[str, Any]) -> None:
    """Note in ``run.json`` what a folder is for: its seed, its recipe and where its data is from.

    Raises:
        ValueError: the folder holds another run.
    """
    settings = json.loads(json.dumps(run.model_dump(mode="json", include={"seed", "recipe"}) | dict(origin)))
    path = run.out / "run.json"
    if path.exists() and json.loads(path.read_text()) != settings:
        raise ValueError(f"{run.out} holds a run with other settings or data; choose another --out")
    write_bytes(path, (json.dumps(settings, indent=2) + "\n").encode())


@dataclass(frozen=True)
class Session:
    """Where a training run lives and what it runs on."""

    folder: Path
    seed: int
    device: torch.device

    @contextmanager
    def initial_weights(self) -> Iterator[None]:
        """Weights made inside are drawn from the seed; the global random state is left as it was."""
        with torch.random.fork_rng(devices=[]):
            torch.set_rng_state(torch.Generator().manual_seed(self.seed).get_state())
            yield

    def log(self, **entry: float | str) -> None:
        """Append one line to ``log.jsonl``."""
        with (self.folder / "log.jsonl").open("a") as file:
            file.write(json.dumps(entry) + "\n")
