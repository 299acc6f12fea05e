"""The frozen Struct-VRNN that a control model reads: kept beside it, or among those that ship."""

from dataclasses import dataclass
from pathlib import Path

import torch

from world_models.checkpoint import CheckpointError, read_model
from world_models.shipped import (
    DETECTOR,
    PRETRAINED,
    detector_folder,
    find_folder,
    ship,
    shipped_kind,
    shipped_models,
)
from world_models.struct_vrnn.model import StructVRNN


@dataclass(frozen=True)
class Detector:
    """A frozen Struct-VRNN, and the SHA-256 of its weights."""

    world: StructVRNN
    digest: str


def load_detector(folder: Path, device: torch.device | str = "cpu") -> Detector:
    """The Struct-VRNN of a model folder.

    Raises:
        CheckpointError: the folder is incomplete, tampered with or of another kind.
    """
    return Detector(StructVRNN.load(folder, device), read_model(folder).weights_digest)


def keep_detector(name: str, folder: Path) -> None:
    """Put a copy of a shipped Struct-VRNN or model folder beside what is going to read it.

    Raises:
        ValueError: there is no such model.
    """
    ship(DETECTOR, find_folder(name), folder)


def find_detector(folder: Path, digest: str) -> Path:
    """The folder of the Struct-VRNN with weights of this SHA-256, for the control model of ``folder``.

    Raises:
        CheckpointError: it is neither beside the folder nor among those that ship.
    """
    names = [name for name in shipped_models() if shipped_kind(name) == "struct-vrnn"]
    places = [detector_folder(folder), *(PRETRAINED / name for name in names)]
    for place in places:
        if place.is_dir() and read_model(place).weights_digest == digest:
            return place
    raise CheckpointError(
        f"{folder} reads the Struct-VRNN with weights {digest[:12]!r}, which is neither at {places[0]} nor "
        f"among those that ship ({', '.join(names) or 'none'}); put its model folder there"
    )
