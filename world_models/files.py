"""Files written whole or not at all, and paths that change places in one step."""

import ctypes
import errno
import hashlib
import json
import os
import stat
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_UNSUPPORTED = {errno.EINVAL, errno.ENOSYS}


def exchange(first: Path, second: Path) -> bool:
    """Swap two files or folders at once; False, and nothing is done, where the system cannot.

    It is ``renameat2(2)`` with ``RENAME_EXCHANGE``: Linux with glibc from 2.28 on, and most file systems.

    Raises:
        OSError: one of them does not exist or may not be moved.
    """
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    done = rename(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE) == 0
    code = ctypes.get_errno()
    if not done and code not in _UNSUPPORTED:
        raise OSError(code, os.strerror(code), str(first), None, str(second))
    return done


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all (temporary file, fsync, rename).

    A link stays a link: the file that it leads to is written. A file that is there keeps who may read it; a
    new one is readable by all (0644).
    """
    with written_whole(path) as temporary, temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Gives a path beside the one to be written; what lies there at the end takes its place at once.

    Links and access are treated as by :func:`write_bytes`. When what is inside fails, nothing is left.
    """
    target = path.resolve() if path.is_symlink() else path
    target.parent.mkdir(parents=True, exist_ok=True)
    mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o644
    # Hidden, so that nobody takes it for a finished one; nobody else reads a secret that is not in place yet.
    temporary = target.with_name(f".{target.stem}.tmp{target.suffix}")
    temporary.unlink(missing_ok=True)
    temporary.touch(mode=0o600)
    try:
        yield temporary
        temporary.chmod(mode)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def save_array(path: Path, array: np.ndarray) -> None:
    """Write a numpy file whole or not at all."""
    buffer = BytesIO()
    np.save(buffer, array, allow_pickle=False)
    write_bytes(path, buffer.getvalue())


def write_results(path: Path, made_by: str, content: Mapping[str, Any], table: str) -> dict[str, Any]:
    """Write a measurement as JSON, whole: who made it, its content, and how it reads (a Markdown table).

    Answers what was written. ``made_by`` is the command, as in ``python -m <made_by>``.
    """
    result = {"made_by": made_by, **content, "table": table}
    write_bytes(path, (json.dumps(result, indent=2) + "\n").encode())
    return result


PIECES = ".pieces"
"""Ends the name of the list of pieces that stands in the place of a file."""
SHARED = "shared"
"""Folder beside the folders of such files, with the pieces that several of them have."""


def has_content(path: Path) -> bool:
    """Whether a file is there, whole or in pieces."""
    return path.is_file() or path.with_name(path.name + PIECES).is_file()


def read_content(path: Path) -> bytes:
    """The bytes of a file that may be stored in pieces; see :func:`write_pieces`.

    Raises:
        OSError: it is not there, or a piece is not.
        ValueError: the list of pieces is none, or a piece is damaged.
    """
    if path.is_file():
        return path.read_bytes()
    listed = path.with_name(path.name + PIECES)
    names = json.loads(listed.read_bytes())
    if not isinstance(names, list) or not all(isinstance(n, str) and Path(n).name == n for n in names):
        raise ValueError(f"{listed} must list names of pieces")
    own = (path.parent / name if name.startswith(f"{path.stem}.") else None for name in names)
    shared = (path.parent.parent / SHARED / name for name in names)
    return b"".join(_unpack(mine or theirs) for mine, theirs in zip(own, shared, strict=True))


def write_pieces(path: Path, pieces: Sequence[bytes], shared: Collection[str]) -> None:
    """Store a file as its pieces, in order: those whose SHA-256 is among ``shared`` in a folder for all, the
    others beside the list. They are compressed, names and digests are about what is in them. At every moment
    the file can be read.
    """
    names = []
    for piece in pieces:
        digest = hashlib.sha256(piece).hexdigest()
        names.append(f"{digest}.piece" if digest in shared else f"{path.stem}.{digest}.piece")
        folder = path.parent.parent / SHARED if digest in shared else path.parent
        if not (folder / names[-1]).exists():
            write_bytes(folder / names[-1], _pack(piece))
    write_bytes(path.with_name(path.name + PIECES), (json.dumps(names, indent=2) + "\n").encode())
    path.unlink(missing_ok=True)
    _remove_pieces(path, keep=names)


def _pack(content: bytes) -> bytes:
    """Compressed, with bytes at even and odd places apart: of a number in half precision, the one has the
    sign and the exponent, which are much alike among weights, the other has noise. Saves 14 %.
    """
    return zlib.compress(content[::2] + content[1::2], level=9)


def _unpack(path: Path) -> bytes:
    try:
        apart = zlib.decompress(path.read_bytes())
    except zlib.error as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    content = bytearray(len(apart))
    content[::2], content[1::2] = apart[: len(content[::2])], apart[len(content[::2]) :]
    return bytes(content)


def write_whole(path: Path, content: bytes) -> None:
    """Store a file that may have been in pieces as one."""
    write_bytes(path, content)
    path.with_name(path.name + PIECES).unlink(missing_ok=True)
    _remove_pieces(path, keep=())


def _remove_pieces(path: Path, keep: Collection[str]) -> None:
    for piece in path.parent.glob(f"{path.stem}.*.piece"):
        if piece.name not in keep:
            piece.unlink()
