"""What a method says about itself, so that the verbs are loops over methods."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel
from torch import nn

RUNS = Path("runs")
"""Where named runs go: each into a folder of its name."""


@dataclass(frozen=True)
class Evaluation:
    """One way to measure models: ``python -m world_models.evaluate NAME``."""

    settings: type[BaseModel]
    """Its class is its own: it tells evaluations apart."""
    measure: Callable[[Any, str], str]
    """Given the settings and the command that started it, writes its results and answers what to print.
    It raises ValueError or Failure where something is wrong."""
    outputs: Callable[[Any], Sequence[Path]] = lambda job: [job.out] if hasattr(job, "out") else []
    """The files that settings ask for, but for those in folders."""


@dataclass(frozen=True)
class Refinement:
    """A further training: of finished models, of data of any kind, or by what needs more than a method."""

    runs: Mapping[str, tuple[str, BaseModel]]
    """As those of a method; their class is its own."""
    train: Callable[[Any, str], Path]
    """Likewise."""


@dataclass(frozen=True)
class Method:
    """A kind of model: how it is read, trained and measured."""

    config: type[BaseModel]
    """Sizes of a model; the default of its field ``kind`` names the method's models on disk."""
    load: Callable[[Path, torch.device | str], nn.Module]
    """Reads a model folder."""
    runs: Mapping[str, tuple[str, BaseModel]]
    """Every named run, ``python -m world_models.train NAME``: what it is, and its settings."""
    train: Callable[[Any, str], Path]
    """Given one of these settings and the command that started it, trains and answers the model's folder.
    It raises ValueError or Failure where something is wrong."""
    evaluations: Mapping[str, Evaluation]

    @property
    def kind(self) -> str:
        """The tag of its models' configurations."""
        return str(self.config.model_fields["kind"].default)
