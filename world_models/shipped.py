"""Which models ship, and how a name becomes a model folder.

``python -m world_models.shipped keyin-push=runs/keyin-push/model`` puts a model folder among them, a control
model together with the detector it reads. What their weights have in common (the same autoencoder) is stored
once.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Annotated

import tyro

from world_models.checkpoint import READER, WEIGHTS, read_model, replace_folder
from world_models.files import PIECES, SHARED, read_content, write_pieces, write_whole
from world_models.jobs.command import command
from world_models.jobs.identity import file_digest

PRETRAINED = Path(__file__).with_name("pretrained")


DETECTOR = "detector"
"""What a control model sees with, and how its folder is named beside the model's."""


def shipped_models() -> list[str]:
    """Names of the models that ship; the detector of a control model is a part of it."""
    names = sorted(path.parent.name for path in PRETRAINED.glob("*/config.json"))
    return [name for name in names if not name.endswith(f"-{DETECTOR}")]


def shipped_kind(name: str) -> str:
    """The kind of a shipped model, as its configuration has it."""
    return str(json.loads((PRETRAINED / name / "config.json").read_text())["kind"])


def find_folder(name: str) -> Path:
    """The folder of a shipped model, or the model folder of that path.

    Raises:
        ValueError: there is neither.
    """
    folder = PRETRAINED / name if name in shipped_models() else Path(name)
    if not (folder / "config.json").is_file():
        shipped = ", ".join(shipped_models()) or "none"
        raise ValueError(f"no model {name!r}; shipped: {shipped}; or give the path of a model folder")
    return folder


def model_name(folder: Path) -> str:
    """What the model of a folder is called: as the folder, or as the run that left it in ``model``."""
    whole = folder.resolve()
    return whole.parent.name if whole.name == "model" and whole.parent.name else whole.name


def weights_digest(name: str) -> str:
    """SHA-256 of the weights of a shipped model or model folder.

    Raises:
        ValueError: there is no such model.
    """
    return read_model(find_folder(name)).weights_digest


def reader_digest(name: str) -> str | None:
    """SHA-256 of what such a model's searches read places with; None where they look at pictures. Raises
    likewise.
    """
    folder = find_folder(name)
    return None if read_model(folder).reader is None else file_digest(folder / READER)


def heads_folder(folder: Path) -> Path:
    """Where the reward heads of a model folder are, if it has any: ``<folder>-rewards``, where they ship, or
    ``rewards`` beside it, where a run leaves them.
    """
    return _beside(folder, "rewards")


def detector_folder(folder: Path) -> Path:
    """Where the detector of a control model's folder is, likewise."""
    return _beside(folder, DETECTOR)


def _beside(folder: Path, part: str) -> Path:
    shipped = folder.with_name(f"{folder.name}-{part}")
    return shipped if shipped.is_dir() else folder.with_name(part)


LEAST_SHARED = 100_000
"""Smaller parts of weights are not worth a file of their own."""


def ship(name: str, folder: Path, among: Path) -> None:
    """Copy a model folder to where models ship, in the place of an old one of that name.

    Raises:
        CheckpointError: it is no whole model folder.
    """
    read_model(folder)
    kept = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    kept = {file: content for file, content in kept.items() if not file.endswith((PIECES, ".piece"))}
    replace_folder(among / name, kept | {WEIGHTS: read_content(folder / WEIGHTS)})


def share(among: Path) -> None:
    """Store every part or tensor of weights that several of the model folders have once. The models stay the
    same: their manifests are about the whole weights.
    """
    paths = sorted(path.parent / WEIGHTS for path in among.glob("*/config.json"))
    whole = {path: read_content(path) for path in paths}
    parts = {path: _parts(content) for path, content in whole.items()}
    together = _common(parts.values())
    # What is not shared as a part of its model may be shared tensor by tensor.
    pieces = {
        path: [
            piece
            for part in found
            for piece in ([b"".join(part)] if _digest(b"".join(part)) in together else part)
        ]
        for path, found in parts.items()
    }
    shared = _common([[piece] for piece in found] for found in pieces.values())
    for path, found in pieces.items():
        if shared.isdisjoint(map(_digest, found)):
            write_whole(path, whole[path])
        else:
            write_pieces(path, _joined(found, shared), shared)
    for path in (among / SHARED).glob("*"):
        if path.stem not in shared:
            path.unlink()


def _digest(piece: bytes) -> str:
    return hashlib.sha256(piece).hexdigest()


def _parts(weights: bytes) -> list[list[bytes]]:
    """A safetensors file cut where its tensors begin to belong to another part of the model: the header, then
    runs of tensors whose names begin alike.
    """
    begin = 8 + int.from_bytes(weights[:8], "little")
    header = json.loads(weights[8:begin])
    header.pop("__metadata__", None)
    spans = sorted((*entry["data_offsets"], name.partition(".")[0]) for name, entry in header.items())
    runs = groupby(spans, key=lambda span: span[2])
    tensors = ([weights[begin + first : begin + last] for first, last, _ in run] for _, run in runs)
    return [[weights[:begin]], *tensors]


def _common(models: Iterable[Sequence[Sequence[bytes]]]) -> set[str]:
    """SHA-256 of the parts, not too small, that several models have."""
    times = Counter[str]()
    for parts in models:
        joined = [b"".join(part) for part in parts]
        times.update({_digest(part) for part in joined if len(part) >= LEAST_SHARED})
    return {digest for digest, count in times.items() if count > 1}


def _joined(pieces: Sequence[bytes], shared: set[str]) -> list[bytes]:
    """Neighbours that are not shared become one piece."""
    joined, before = list[bytes](), True
    for piece in pieces:
        alone = _digest(piece) in shared
        if alone or before:
            joined.append(piece)
        else:
            joined[-1] += piece
        before = alone
    return joined


@command()
def main() -> None:
    """Command line entry point."""
    given = tyro.cli(Annotated[list[str], tyro.conf.Positional], prog="python -m world_models.shipped")
    for text in given:
        name, sign, folder = text.partition("=")
        if not sign or Path(name).name != name:
            raise ValueError(f"give models as NAME=FOLDER, not {text!r}")
        ship(name, Path(folder), PRETRAINED)
        if shipped_kind(name) == "control" and (detector := detector_folder(Path(folder))).is_dir():
            ship(f"{name}-{DETECTOR}", detector, PRETRAINED)
    share(PRETRAINED)


if __name__ == "__main__":
    main()
