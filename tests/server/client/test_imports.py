"""The client starts at once: neither it nor what travels loads models, simulators or a web framework."""

import subprocess
import sys
from pathlib import Path

import pytest

SERVER = Path(__file__).parents[3] / "server"
HEAVY = ("torch", "mujoco", "dm_control", "starlette", "fastapi", "planner", "envs", "world_models")
SCHEMAS = sorted(
    ".".join(path.relative_to(SERVER.parent).with_suffix("").parts) for path in SERVER.rglob("schemas.py")
)
_CHECK = """
import importlib, sys
for name in sys.argv[2:]:
    importlib.import_module(name)
    # The package itself holds no more than the version.
    roots = {module.partition(".")[0] for module in sys.modules if module != "world_models"}
    print(name, *sorted(set(sys.argv[1].split(",")) & roots))
"""


def loaded(*names: str) -> list[str]:
    """Every module, and which of the heavy packages are there once it is imported after those before it."""
    command = [sys.executable, "-c", _CHECK, ",".join(HEAVY), *names]
    told = subprocess.run(command, cwd=SERVER.parent, capture_output=True, text=True, timeout=60, check=True)
    return told.stdout.splitlines()


@pytest.mark.parametrize("names", [["server.client"], SCHEMAS], ids=["client", "schemas"])
def test_nothing_heavy_is_imported(names: list[str]) -> None:
    assert loaded(*names) == names


def test_heavy_modules_are_found() -> None:
    assert loaded("server.schemas", "server.errors", "server.http.problems") == [
        "server.schemas",
        "server.errors",
        "server.http.problems fastapi starlette",
    ]


def test_there_are_schemas_in_every_resource() -> None:
    assert len(SCHEMAS) >= 8 and "server.plans.schemas" in SCHEMAS
