"""Rules that hold for the whole repository and that no linter knows."""

import ast
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
FOLDERS = ("envs", "planner", "server", "world_models", "tests", "examples", ".ci")
TOP = ("*.md", "*.toml", "*.py", "constraints.txt", "Makefile", "Dockerfile", ".dockerignore", ".gitignore")
TEXT = {".py", ".md", ".json", ".xml", ".html", ".css", ".js", ""}
PICKLERS = {"pickle", "cloudpickle", "dill", "joblib", "shelve"}


def text_files() -> list[Path]:
    inside = (path for folder in FOLDERS for path in (ROOT / folder).rglob("*"))
    kept = (path for path in inside if path.suffix in TEXT and "__pycache__" not in path.parts)
    top = (path for pattern in TOP for path in ROOT.glob(pattern))
    return sorted(path for path in (*kept, *top) if path.is_file() and path != Path(__file__))


def modules() -> list[Path]:
    return [path for path in text_files() if path.suffix == ".py"]


def unsafe_loads(path: Path) -> Iterator[str]:
    """Whatever reads or writes pickles, found in the syntax tree: prose may speak of it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names) if PICKLERS & {alias.name for alias in names}:
                yield "imports a pickle module"
            case ast.ImportFrom(module=name) if name in PICKLERS:
                yield "imports from a pickle module"
            case ast.Attribute(value=ast.Name(id="torch"), attr="load" | "save" as verb):
                yield f"uses torch.{verb}"
            case ast.keyword(arg="allow_pickle", value=ast.Constant(value=True)):
                yield "allows pickles"


def long_parts(path: Path) -> Iterator[str]:
    source = path.read_text(encoding="utf-8")
    if (lines := source.count("\n")) > 300:
        yield f"{lines} lines, the limit is 300"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            if length > 60:
                yield f"{node.name} has {length} lines, the limit is 60"


@pytest.mark.parametrize("rule", [unsafe_loads, long_parts])
def test_modules_keep_the_rule(rule):
    found = [f"{path.relative_to(ROOT)}: {problem}" for path in modules() for problem in rule(path)]
    assert not found, "\n".join(found)


def test_rules_find_what_they_forbid(tmp_path):
    bad = tmp_path / "bad.py"
    bad.write_text(
        "import pickle\nfrom joblib import load\ntorch.load(x)\nnp.load(x, allow_pickle=True)\n" + "\n" * 300
    )
    assert len([*unsafe_loads(bad)]) == 4
    assert len([*long_parts(bad)]) == 1


def test_rooms_are_small_and_named_for_what_they_hold():
    """A folder that grows past 15 modules has rooms of its own; a module is a noun, not a mood."""
    packages = [path for path in modules() if path.relative_to(ROOT).parts[0] in FOLDERS[:5]]
    crowds = Counter(path.parent.relative_to(ROOT).as_posix() for path in packages)
    assert {folder: count for folder, count in crowds.items() if count > 15} == {}
    moods = {"ready", "sharing", "running", "route", "reading", "utils"}
    assert [path for path in packages if path.stem in moods] == []


def test_no_file_names_a_machine_or_a_package_host():
    private = re.compile(
        r"(?<![\w.])/(work|root|home|opt|Users|mnt)/\w|pythonhosted|pypi\.|download\.pytorch"
    )
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in text_files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if private.search(line)
    ]
    assert not found, "\n".join(found)


def test_constraints_pin_every_direct_dependency():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    direct = [*project["dependencies"], *(requirement for extra in extras for requirement in extra)]
    pins = {}
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            name, version = line.split("==")
            pins[canonicalize_name(name)] = version
    for requirement in map(Requirement, direct):
        pin = pins.get(canonicalize_name(requirement.name))
        assert pin, f"constraints.txt lacks {requirement.name}"
        assert requirement.specifier.contains(pin), f"{requirement} does not allow the pinned {pin}"
