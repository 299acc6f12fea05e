"""Two paths that change places in one step, which Python's own ``os`` cannot do."""

import ctypes
import errno
import os
from pathlib import Path

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
