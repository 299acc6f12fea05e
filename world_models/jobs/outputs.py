"""Whether a job's last step can work, asked before its first."""

import shutil
import tempfile
from pathlib import Path

import torch

ROOM = 32 * 1024 * 1024
"""Bytes that a disk must have free for results, films and figures."""


def check_outputs(option: str, *paths: Path) -> None:
    """Make sure that every file can be written, and that none of them would overwrite another.

    Folders that are missing are made.

    Args:
        option: the command's option that says where outputs go, such as ``--out``.
        paths: all files that are going to be written.

    Raises:
        ValueError: one cannot be written, two are the same, or the disk is full.
    """
    seen: set[Path] = set()
    for path in paths:
        real = path.resolve()
        if real in seen:
            raise ValueError(
                f"{path} would be written twice, by results and by the figure beside them; choose "
                f"another {option}, such as {path.with_suffix('.json')}"
            )
        seen.add(real)
        if real.is_dir():
            raise ValueError(f"{path} is a folder; choose a file for {option}")
        check_folder(option, real.parent, path)


def check_folder(option: str, folder: Path, file: Path | None = None) -> None:
    """Make sure that files can be written to a folder, which is made if it is missing.

    Raises:
        ValueError: they cannot, or the disk is full; it names the ``file`` that was meant, if any.
    """
    place = folder if file is None else file
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"x")
            probe.flush()
    except FileExistsError as error:
        raise ValueError(
            f"{place} cannot be written: {folder} is no folder; choose another {option}"
        ) from error
    except OSError as error:
        raise ValueError(f"{place} cannot be written: {error.strerror}; choose another {option}") from error
    if (free := shutil.disk_usage(folder).free) < ROOM:
        raise ValueError(
            f"{folder} has {free // 2**20} MB of room, results need {ROOM // 2**20}; choose another {option}"
        )


def check_device(name: str) -> str:
    """The name of a torch device that works here.

    Raises:
        ValueError: it does not; the message names those that do.
    """
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        others = "".join(f", and here {other} is" for other in _accelerators())
        raise ValueError(f"device {name!r} is not available here; cpu always is{others}") from error
    return name


def _accelerators() -> list[str]:
    found = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    return [*found, "mps"] if torch.backends.mps.is_available() else found
