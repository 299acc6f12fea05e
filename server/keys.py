"""``python -m server.keys``: make a key, print it once, keep its hash.

A keys file has a line per key, its name and the SHA-256 of the key in hexadecimal; empty lines and lines that
start with ``#`` are left alone. Keys are 256 random bits, so that a plain hash gives nothing away. Delete a
line to revoke a key.
"""

import argparse
import hashlib
import hmac
import os
import re
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path

from world_models.files import write_bytes
from world_models.jobs.command import command

ANONYMOUS = "anonymous"
"""Name of all callers where no keys are asked for."""

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_PREFIX = "waymark_"


class KeysError(ValueError):
    """A keys file cannot be used."""


class Keys:
    """Who has which key; knows only hashes."""

    def __init__(self, digests: Mapping[str, bytes]) -> None:
        """``digests``: SHA-256 of the keys by the names of their owners."""
        self._digests = dict(digests)

    def owner(self, key: str) -> str | None:
        """The name that belongs to a key, None if it is not a key. Takes the same time for every key."""
        digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
        owners = [name for name, known in self._digests.items() if hmac.compare_digest(digest, known)]
        return owners[0] if owners else None


def read_keys(path: Path) -> Keys:
    """The keys of a file.

    Raises:
        KeysError: it cannot be read, has no key, or a line is not as it should be; no line is repeated.
    """
    digests = _digests(path)
    if not digests:
        raise KeysError(f"{path} has no key; make one with `python -m server.keys NAME --file {path}`")
    return Keys(digests)


def add_key(path: Path, name: str) -> str:
    """Make a key for ``name``, add its hash to the file and answer the key, which is stored nowhere.

    Raises:
        KeysError: the name is not plain or is there already, or the file cannot be read.
    """
    if not _NAME.fullmatch(name) or name == ANONYMOUS:
        raise KeysError(f"a name is 1 to 64 letters, digits, dots, dashes and underscores, not {ANONYMOUS!r}")
    old = ""
    if path.exists():
        if name in _digests(path):
            raise KeysError(f"{path} has a key of that name; delete its line first, or take another name")
        old = path.read_text(encoding="ascii")
    gap = "" if not old or old.endswith("\n") else "\n"
    key = _PREFIX + secrets.token_urlsafe(32)
    digest = hashlib.sha256(key.encode("ascii")).hexdigest()
    write_bytes(path, f"{old}{gap}{name} {digest}\n".encode("ascii"))
    return key


def _digests(path: Path) -> dict[str, bytes]:
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        how = f"; `python -m server.keys NAME --file {path}` makes it, in a container `keys NAME`"
        missing = isinstance(error, FileNotFoundError)
        reason = f"the keys file {path} cannot be read ({type(error).__name__})"
        raise KeysError(reason + (how if missing else "")) from None
    digests: dict[str, bytes] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, digest = line.strip().partition(" ")
        if not _NAME.fullmatch(name) or name == ANONYMOUS or not _DIGEST.fullmatch(digest):
            raise KeysError(
                f"{path}, line {number}: not a name, a space and 64 hexadecimal digits in lower case"
            )
        if name in digests or bytes.fromhex(digest) in digests.values():
            raise KeysError(f"{path}, line {number}: the name or the key is there already")
        digests[name] = bytes.fromhex(digest)
    return digests


_HOW = """\
A server takes requests from other machines by keys alone. Make one for everybody who may use it:

    python -m server.keys alice --file keys.txt
    python -m server --host 0.0.0.0 --keys-file keys.txt

In a container, with the volume that it starts with:

    docker run --rm -v waymark:/data waymark keys alice
    docker run --read-only -p 8000:8000 -v waymark:/data waymark

The key is printed, once. Who has it sends `Authorization: Bearer KEY`."""


@command()
def main() -> None:
    """Read the arguments and make a key; without any, say how."""
    if len(sys.argv) == 1:
        print(_HOW)
        return
    parser = argparse.ArgumentParser(prog="python -m server.keys", description=__doc__)
    parser.add_argument("name", help="whose key it is; quotas, metrics and logs use this name")
    usual = os.environ.get("WAYMARK_KEYS_FILE")
    parser.add_argument(
        "--file",
        type=Path,
        required=usual is None,
        default=usual,
        help="the keys file; made if it is not there (default: that of the server, WAYMARK_KEYS_FILE)",
    )
    arguments = parser.parse_args()
    try:
        key = add_key(arguments.file, arguments.name)
    except (KeysError, OSError) as error:
        parser.error(str(error))
    print(key)


if __name__ == "__main__":
    main()
