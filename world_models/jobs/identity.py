"""What a result depends on: all settings, defaults included, and digests of the files that were read.

What is there is taken over only if it was made with exactly the same; see :func:`differences`.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Dotted names of all settings that are not the same, or that only one of the two has."""
    mine, theirs, missing = _flat(one), _flat(other), object()
    names = mine.keys() | theirs.keys()
    return sorted(name for name in names if mine.get(name, missing) != theirs.get(name, missing))


def fingerprint(settings: Mapping[str, Any]) -> str:
    """SHA-256 of settings of JSON types; equal for equal settings, whatever their order."""
    return hashlib.sha256(canonical(settings).encode()).hexdigest()


def canonical(settings: Mapping[str, Any]) -> str:
    """Settings as JSON, always written the same way."""
    return json.dumps(settings, sort_keys=True, separators=(",", ":"))


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted name."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat
