"""Model folders that were damaged or made to harm: refused, and nothing in them is run."""

import contextlib
import hashlib
import io
import json
import random
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from planner.loading import load_ready
from world_models.checkpoint import FILES, MANIFEST, WEIGHTS, CheckpointError, write_card

MUTATIONS = 60
"""Of every file."""


@pytest.fixture
def folder(world_folders: dict[str, Path], tmp_path: Path) -> Path:
    shutil.copytree(world_folders["tiny-push"], tmp_path / "model")
    write_card(tmp_path / "model", "# A model\n")
    return tmp_path / "model"


def mutated(content: bytes, generator: random.Random) -> bytes:
    """Some bytes changed, lost or added."""
    start = generator.randrange(len(content))
    length = generator.choice((1, 1, 1, 4, 100))
    kind = generator.choice(("change", "lose", "add", "cut", "double"))
    noise = generator.randbytes(length)
    if kind == "change":
        flipped = bytes(byte ^ generator.randrange(1, 256) for byte in content[start : start + length])
        return content[:start] + flipped + content[start + length :]
    if kind == "cut":
        return content[:start]
    if kind == "double":
        return content + content[start:]
    return content[:start] + (noise if kind == "add" else b"") + content[start + (kind == "lose") :]


def signed(folder: Path) -> None:
    """Have the manifest agree with what is there, as an attacker can."""
    hashes = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES}
    (folder / MANIFEST).write_text(json.dumps({"sha256": hashes}))


@pytest.mark.parametrize("name", [*FILES, MANIFEST])
def test_damage_is_noticed(folder: Path, name: str) -> None:
    generator = random.Random(0)
    original = (folder / name).read_bytes()
    whole = load_ready(str(folder))
    refused = 0
    for _ in range(MUTATIONS):
        content = mutated(original, generator)
        (folder / name).write_bytes(content)
        try:
            loaded = load_ready(str(folder))
        except ValueError:  # CheckpointError is one
            refused += 1
        else:  # the manifest has spaces that mean nothing
            assert name == MANIFEST and loaded.weights_sha256 == whole.weights_sha256
    assert refused == MUTATIONS if name != MANIFEST else refused > 0.8 * MUTATIONS


@pytest.mark.parametrize("name", FILES)
def test_damage_with_a_manifest_that_agrees_ends_in_words(folder: Path, name: str) -> None:
    generator = random.Random(1)
    original = (folder / name).read_bytes()
    for _ in range(MUTATIONS):
        content = mutated(original[:4000] if name == WEIGHTS else original, generator)
        (folder / name).write_bytes(content + original[4000:] if name == WEIGHTS else content)
        signed(folder)
        with contextlib.suppress(ValueError):  # The same or other weights, or a CheckpointError.
            load_ready(str(folder))


def payloads(trap: Path) -> Iterator[bytes]:
    """Pickles that would make a file, alone and in the archive that torch writes; broken safetensors."""
    pickled = f"cos\nsystem\n(S'touch {trap}'\ntR.".encode()
    yield pickled
    yield b"\x80\x02" + pickled
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("archive/data.pkl", pickled)
        file.writestr("archive/version", "3")
    yield archive.getvalue()
    yield b""
    yield b"\xff" * 8
    yield (2**63).to_bytes(8, "little") + b"{}"
    yield (100_000_001).to_bytes(8, "little") + b"{" * 1000
    for header in (
        b"[]",
        b"{" * 1000,
        b'{"a":{"dtype":"F16","shape":[1000000000000],"data_offsets":[0,2000000000000]}}',
        b'{"a":{"dtype":"F16","shape":[-1],"data_offsets":[0,2]}}',
        b'{"a":{"dtype":"OBJ","shape":[1],"data_offsets":[0,2]}}',
        b'{"a":{"dtype":"F16","shape":[4294967296,4294967296],"data_offsets":[0,0]}}',
        b'{"__metadata__":{"format":"pt"}}',
    ):
        yield len(header).to_bytes(8, "little") + header + b"\x00" * 8


def test_nothing_is_run(folder: Path, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    for content in payloads(trap):
        (folder / WEIGHTS).write_bytes(content)
        signed(folder)
        with pytest.raises(CheckpointError):
            load_ready(str(folder))
        for name in (FILES[0], MANIFEST):
            kept = (folder / name).read_bytes()
            (folder / name).write_bytes(content)
            with pytest.raises(CheckpointError):
                load_ready(str(folder))
            (folder / name).write_bytes(kept)
    assert not trap.exists()


@pytest.fixture
def config_of(folder: Path) -> Callable[..., None]:
    """``config_of(**change)`` changes the model's configuration, and the manifest with it."""

    def change(**fields: object) -> None:
        path = folder / FILES[0]
        path.write_text(json.dumps(json.loads(path.read_bytes()) | fields))
        signed(folder)

    return change


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "keyin"},
        {"kind": "../../x"},
        {"kind": None},
        {"hidden": 17},
        {"hidden": -1},
        {"hidden": 10**12},
        {"hidden": "many"},
        {"image_size": 10**6},
        {"widths": []},
        {"actions": 1.5},
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(
    folder: Path, config_of: Callable[..., None], fields: dict[str, object]
) -> None:
    config_of(**fields)
    with pytest.raises(ValueError, match=r"model|kind|shipped"):
        load_ready(str(folder))
