"""Models and training states on disk. Weights are safetensors, everything else is text; nothing is pickled.

A model folder holds ``config.json``, ``model.safetensors``, ``card.md``, for some models ``eye.safetensors``
(what pictures looked like in training), ``reader.safetensors`` (where things are, read off what the model
makes of pictures) and ``goal.json`` (what it can be asked for, see :mod:`world_models.goals`), and
``MANIFEST.json`` with the SHA-256 of the others, which is
checked before any of them is parsed; weights may be stored in pieces that several folders share
(:mod:`world_models.shipped`). A training checkpoint is one file.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from pydantic import BaseModel, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save
from torch import Tensor, nn

from world_models.files import SHARED, exchange, has_content, read_content, write_bytes
from world_models.goals import StoredGoal, read_goal

CONFIG, WEIGHTS, CARD, MANIFEST = "config.json", "model.safetensors", "card.md", "MANIFEST.json"
FILES = (CONFIG, WEIGHTS, CARD)
EYE, READER, GOAL = "eye.safetensors", "reader.safetensors", "goal.json"
BESIDE = (EYE, READER, GOAL)
"""What may lie beside the weights."""

ConfigT = TypeVar("ConfigT", bound=BaseModel)
ModelT = TypeVar("ModelT", bound=nn.Module)


class CheckpointError(ValueError):
    """A model folder or training checkpoint is missing, damaged or does not fit."""


@dataclass(frozen=True)
class StoredModel:
    """The content of a verified model folder."""

    folder: Path
    config: dict[str, Any]
    """The parsed ``config.json``; its ``kind`` says which model it is."""
    weights: dict[str, Tensor]
    """Tensors by parameter name."""
    card: str
    """The model card, Markdown."""
    eye: dict[str, Tensor] | None
    """What its eye knows of the training data's pictures, by name; None for models without."""
    reader: dict[str, Tensor] | None
    """Weights of its reader, by name; None for models without."""
    goal: StoredGoal | None
    """What it can be asked for; None for models without, which may have one in their configuration."""
    digest: str
    """SHA-256 of the manifest: one name for exactly these files."""
    weights_digest: str
    """SHA-256 of the weights alone."""

    def parse_config(self, kind: type[ConfigT]) -> ConfigT:
        """The configuration as ``kind``; a :class:`CheckpointError` if it is of another kind."""
        try:
            return kind.model_validate(self.config)
        except ValidationError as error:
            raise CheckpointError(f"{self.folder / CONFIG} is no {kind.__name__}: {error}") from error

    def fill(self, model: nn.Module) -> None:
        """Copy the weights into ``model``; a :class:`CheckpointError` unless names and shapes agree."""
        try:
            model.load_state_dict(self.weights)
        except RuntimeError as error:
            raise CheckpointError(f"{self.folder / WEIGHTS} does not fit its config: {error}") from error


def write_model(
    folder: Path,
    config: BaseModel,
    model: nn.Module,
    card: str,
    eye: Mapping[str, Tensor] | None = None,
    reader: Mapping[str, Tensor] | None = None,
    goal: StoredGoal | None = None,
) -> str:
    """Write a model folder and answer its digest; an old one is replaced only once the new one is whole.

    ``eye`` is what its eye knows of the training data's pictures, ``reader`` the weights of its reader,
    ``goal`` what it can be asked for.
    Weights are rounded to half precision: half the size, and what is lost is far below a model's own error.
    """
    folder = Path(folder)
    contents = {
        CONFIG: (config.model_dump_json(indent=2) + "\n").encode(),
        WEIGHTS: save(_rounded(model.state_dict())),
        CARD: card.encode(),
        **({} if eye is None else {EYE: save(dict(eye))}),
        **({} if reader is None else {READER: save(_rounded(reader))}),
        **({} if goal is None else {GOAL: _as_json(goal)}),
    }
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    contents[MANIFEST] = _manifest(hashes)
    replace_folder(folder, contents)
    return hashlib.sha256(contents[MANIFEST]).hexdigest()


def replace_folder(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Put a folder of these files in the place of an old one, and sweep what killed writers left.

    At every moment there is a whole folder at that path; only where paths cannot be exchanged is there none
    between two renames.
    """
    folder = folder.resolve()  # what a link leads to is replaced, not the link
    temporary, old = (folder.with_name(folder.name + suffix) for suffix in (".tmp", ".old"))
    shutil.rmtree(temporary, ignore_errors=True)
    for name, content in contents.items():
        write_bytes(temporary / name, content)
    if not folder.exists():
        temporary.rename(folder)
    elif not exchange(temporary, folder):
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)
        temporary.rename(folder)
    shutil.rmtree(temporary, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)


def _rounded(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name: (tensor.half() if tensor.is_floating_point() else tensor).detach().cpu().contiguous()
        for name, tensor in weights.items()
    }


def read_model(folder: Path) -> StoredModel:
    """Verify and read a model folder.

    Raises:
        CheckpointError: a file is missing, differs from the manifest or is not what its name says.
    """
    folder = Path(folder)
    missing = [name for name in (MANIFEST, *FILES) if not has_content(folder / name)]
    if missing:
        raise CheckpointError(f"{folder} is no model folder: it lacks {', '.join(missing)}")
    manifest = (folder / MANIFEST).read_bytes()
    try:
        hashes = dict(json.loads(manifest)["sha256"])
        expected = {name: str(hashes[name]) for name in FILES}
        expected |= {name: str(hashes[name]) for name in BESIDE if name in hashes}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(f"{folder / MANIFEST} must list the SHA-256 of {', '.join(FILES)}") from error
    try:
        contents = {name: read_content(folder / name) for name in expected}
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{folder} lacks a piece of its weights, or what lies beside them: {error}; "
            f"fetch it again, with {SHARED} beside it"
        ) from error
    for name, content in contents.items():
        if hashlib.sha256(content).hexdigest() != expected[name]:
            raise CheckpointError(
                f"{folder / name} differs from the SHA-256 in {MANIFEST}; fetch the model again"
            )
    try:
        return StoredModel(
            folder=folder,
            config=dict(json.loads(contents[CONFIG])),
            weights=load(contents[WEIGHTS]),
            card=contents[CARD].decode(),
            eye=load(contents[EYE]) if EYE in contents else None,
            reader=load(contents[READER]) if READER in contents else None,
            goal=read_goal(json.loads(contents[GOAL])) if GOAL in contents else None,
            digest=hashlib.sha256(manifest).hexdigest(),
            weights_digest=expected[WEIGHTS],
        )
    except (ValueError, TypeError, RecursionError, SafetensorError) as error:
        raise CheckpointError(f"{folder} agrees with its {MANIFEST} but cannot be read: {error}") from error


def load_model(
    folder: Path, build: Callable[[ConfigT], ModelT], kind: type[ConfigT], device: torch.device | str
) -> ModelT:
    """The model of a folder, ready for use: on ``device``, in evaluation mode, without gradients.

    Raises:
        CheckpointError: the folder is missing, incomplete, tampered with or of another kind.
    """
    stored = read_model(folder)
    try:
        model = build(stored.parse_config(kind))
    except (RuntimeError, MemoryError) as error:
        raise CheckpointError(f"{folder / CONFIG} describes a model that cannot be built: {error}") from error
    stored.fill(model)
    return model.to(device).eval().requires_grad_(False)


def write_card(folder: Path, card: str) -> None:
    """Replace the card of a model folder; configuration and weights stay as they are.

    Raises:
        CheckpointError: the folder is incomplete or differs from its manifest.
    """
    _rewrite(folder, CARD, card.encode())


def write_eye(folder: Path, eye: Mapping[str, Tensor]) -> None:
    """Give a model folder another eye; configuration, weights and card stay as they are. Raises likewise."""
    _rewrite(folder, EYE, save(dict(eye)))


def write_reader(folder: Path, reader: Mapping[str, Tensor]) -> None:
    """Give a model folder another reader; all else stays as it is. Raises likewise."""
    _rewrite(folder, READER, save(_rounded(reader)))


def write_goal(folder: Path, goal: StoredGoal) -> None:
    """Give a model folder another goal; all else stays as it is. Raises likewise."""
    _rewrite(folder, GOAL, _as_json(goal))


def _as_json(goal: StoredGoal) -> bytes:
    return (goal.model_dump_json(indent=2) + "\n").encode()


def _rewrite(folder: Path, name: str, content: bytes) -> None:
    read_model(folder)
    hashes = json.loads((folder / MANIFEST).read_bytes())["sha256"]
    hashes[name] = hashlib.sha256(content).hexdigest()
    kept = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    replace_folder(folder, kept | {name: content, MANIFEST: _manifest(hashes)})


def _manifest(hashes: dict[str, str]) -> bytes:
    return (json.dumps({"sha256": hashes}, indent=2) + "\n").encode()


def save_training(
    path: Path, step: int, model: nn.Module, optimizer: torch.optim.Optimizer, generator: torch.Generator
) -> None:
    """Write weights, optimiser, random state and step as one file."""
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for index, values in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": torch.as_tensor(value) for name, value in values.items()}
    tensors["generator"] = generator.get_state()
    clean = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_bytes(path, save(clean, metadata={"step": str(step)}))


def load_training(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, generator: torch.Generator
) -> int:
    """Restore what :func:`save_training` wrote, in place; answers the number of steps done.

    Raises:
        CheckpointError: the file is damaged or belongs to another model.
    """
    try:
        with safe_open(path, framework="pt") as file:
            step = int((file.metadata() or {})["step"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        model.load_state_dict(_under(tensors, "model."))
        generator.set_state(tensors["generator"])
    except (SafetensorError, KeyError, RuntimeError) as error:
        raise CheckpointError(
            f"cannot resume from {path} ({error}); delete it to start the stage anew"
        ) from error
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _under(tensors, "optimizer.").items():
        index, field = name.split(".", 1)
        state.setdefault(int(index), {})[field] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return step


def load_weights(path: Path, model: nn.Module) -> None:
    """Copy the weights of a training checkpoint into ``model``.

    Raises:
        CheckpointError: the file is missing, damaged or belongs to another model.
    """
    try:
        with safe_open(path, framework="pt") as file:
            names = [name for name in file.keys() if name.startswith("model.")]  # noqa: SIM118 - not a dict
            model.load_state_dict({name.removeprefix("model."): file.get_tensor(name) for name in names})
    except (OSError, SafetensorError, RuntimeError) as error:
        raise CheckpointError(f"{path} does not hold the weights wanted: {error}") from error


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
