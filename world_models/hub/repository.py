"""Model folders as repositories of the Hugging Face Hub: fetched by their names, and put there.

What is fetched is verified as any model folder is: the SHA-256 of every file stands in its manifest. Only the
files of a model folder travel; reward heads lie in folders of their own and are models of their own there.
"""

import json
import re
import tempfile
from pathlib import Path
from typing import Any, TypeVar

import torch

from world_models.checkpoint import BESIDE, FILES, MANIFEST, CheckpointError, read_model
from world_models.files import read_content, write_bytes
from world_models.shipped import find_folder, shipped_models

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_TRAVELLING = [MANIFEST, *FILES, *BESIDE]
H = TypeVar("H", bound="FromHub")


class FromHub:
    """A model class with ``load(folder, device)`` that also takes its models from the Hub."""

    @classmethod
    def from_pretrained(
        cls: type[H], name: str | Path, device: torch.device | str = "cpu", revision: str | None = None
    ) -> H:
        """The model of a shipped name, of a model folder or of a repository ``OWNER/NAME``, ready for use.

        ``revision`` is a branch, a tag or a commit of the repository.

        Raises:
            ValueError: there is no such model, or it cannot be fetched.
            CheckpointError: its files are incomplete or differ from their manifest, or it is of another kind.
        """
        loaded: H = getattr(cls, "load")(find_model(str(name), revision), device)  # noqa: B009
        return loaded

    @classmethod
    def push_to_hub(cls, folder: str | Path, repository: str, private: bool = False) -> str:
        """Put a model folder of this kind, or the model of a shipped name, into a repository ``OWNER/NAME``,
        which is made if there is none; answers its address.

        Raises:
            ValueError: there is no such model, the repository's name is none, or it cannot be written.
            CheckpointError: as for :meth:`from_pretrained`.
        """
        found = find_folder(str(folder))
        getattr(cls, "load")(found, "cpu")  # noqa: B009
        return push(found, repository, private)


def find_model(name: str, revision: str | None = None) -> Path:
    """The folder of a model, fetched if it is neither a shipped name nor a folder here.

    Raises:
        ValueError: there is none, or it cannot be fetched.
    """
    here = name in shipped_models() or Path(name).exists()
    if here or not _REPOSITORY.fullmatch(name):
        if revision is not None:
            raise ValueError(f"{name} is no repository of the Hub, and has no revision {revision!r}")
        return find_folder(name)
    hub = _hub()
    try:
        folder = Path(hub.snapshot_download(name, revision=revision, allow_patterns=_TRAVELLING))
    except (OSError, ValueError) as error:
        at = "" if revision is None else f" at {revision}"
        raise ValueError(
            f"{name}{at} is no model folder here, and cannot be fetched as a repository: {error}"
        ) from error
    if not (folder / FILES[0]).is_file():
        raise CheckpointError(f"the repository {name} holds no model folder: it lacks {FILES[0]}")
    return folder


def push(folder: Path, repository: str, private: bool = False) -> str:
    """Put the files of a verified model folder into a repository of the Hub; answers its address.

    Raises:
        ValueError: the repository's name is none, or it cannot be written.
        CheckpointError: the folder is incomplete or differs from its manifest.
    """
    if not _REPOSITORY.fullmatch(repository):
        raise ValueError(f"{repository!r} names no repository; give OWNER/NAME")
    read_model(folder)
    names = [MANIFEST, *json.loads((folder / MANIFEST).read_bytes())["sha256"]]
    hub = _hub()
    with tempfile.TemporaryDirectory() as whole:
        for name in names:  # weights of shipped models are stored in pieces
            write_bytes(Path(whole) / name, read_content(folder / name))
        try:
            api = hub.HfApi()
            address = api.create_repo(repository, private=private, exist_ok=True)
            api.upload_folder(repo_id=repository, folder_path=whole, commit_message="Model folder of Waymark")
        except (OSError, ValueError) as error:
            raise ValueError(f"the repository {repository} cannot be written: {error}") from error
    return str(address)


def _hub() -> Any:
    """The package huggingface_hub. Raises ValueError if it is not installed."""
    try:
        import huggingface_hub
    except ImportError as error:
        raise ValueError(
            "models of the Hub need huggingface_hub: pip install 'waymark[hub]'; or name a model folder"
        ) from error
    return huggingface_hub
