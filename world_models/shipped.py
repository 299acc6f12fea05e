"""Which models ship, and how a name becomes a model folder."""

import json
from pathlib import Path

from world_models.checkpoint import read_model

PRETRAINED = Path(__file__).with_name("pretrained")


def shipped_models() -> list[str]:
    """Names of the models that ship."""
    return sorted(path.parent.name for path in PRETRAINED.glob("*/config.json"))


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


def heads_folder(folder: Path) -> Path:
    """Where the reward heads of a model folder are, if it has any: ``<folder>-rewards``, where they ship, or
    ``rewards`` beside it, where a run leaves them.
    """
    shipped = folder.with_name(f"{folder.name}-rewards")
    return shipped if shipped.is_dir() else folder.with_name("rewards")
