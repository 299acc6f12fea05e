"""The list of verbs, and that the command minds no module of the current directory."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import envs
import planner
import server
import world_models
from server.command.verbs import VERBS, main

ROOT = Path(world_models.__file__).parents[1]


def said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    """What the command says, on either stream, and how it ends if not with 0."""
    monkeypatch.setattr(sys, "argv", ["waymark", *arguments])
    status: object = 0
    try:
        main()
    except SystemExit as end:
        status = end.code
    found = capsys.readouterr()
    return found.out + found.err + (f"\nstatus {status}" if status else "")


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A folder with a user's own modules of our names, which do harm when they are imported."""
    for package in ("envs", "planner", "world_models"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("raise RuntimeError('not meant')\n")
    (tmp_path / "server.py").write_text("raise RuntimeError('not meant')\n")
    return tmp_path


def run_in(folder: Path, code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """What an installed command does in that folder, which is not on its path."""
    return subprocess.run(
        [sys.executable, "-P", "-c", code, *map(str, arguments)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=280,
    )


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb, capsys, monkeypatch):
    help_text = said(capsys, monkeypatch, verb, "--help")
    assert "status" not in help_text.splitlines()[-1]
    assert "usage: " in help_text
    assert "--" in help_text


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",)])
def test_lists_all_verbs(arguments, capsys, monkeypatch):
    lines = said(capsys, monkeypatch, *arguments).splitlines()
    for name, verb in VERBS.items():
        assert any(line.split() == [name, *verb.line.split()] for line in lines)
    assert max(map(len, lines)) <= 100


def test_unknown_verbs_are_told_the_valid_ones(capsys, monkeypatch):
    text = said(capsys, monkeypatch, "evalaute", "push")
    assert "did you mean evaluate?" in text
    assert "plan, serve, demo" in text
    assert text.endswith("status 2")
    assert "did you mean" not in said(capsys, monkeypatch, "xyzzy")


def test_every_flag_reaches_the_module(capsys, monkeypatch):
    text = said(capsys, monkeypatch, "evaluate", "push", "--episodes", "0", "--planners", "random")
    assert "--episodes, --workers and --together must be at least 1" in text


def test_one_version(capsys, monkeypatch):
    assert said(capsys, monkeypatch, "--version") == f"waymark {world_models.__version__}\n"
    assert {p.__version__ for p in (envs, planner, server)} == {world_models.__version__}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["hatch"]["version"]["path"] == "world_models/__init__.py"


def test_the_script_is_this_command():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"waymark": f"{main.__module__}:{main.__qualname__}"}


def test_every_package_says_that_it_is_typed():
    assert all(
        (Path(str(p.__file__)).with_name("py.typed")).is_file() for p in (envs, planner, server, world_models)
    )


def test_the_list_comes_without_loading_what_the_verbs_need():
    code = (
        "import sys; sys.argv = ['waymark']; from server.command.verbs import main; main(); "
        "sys.exit(', '.join({'torch', 'numpy', 'tyro', 'pydantic', 'gymnasium'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stderr == "\n"


@pytest.mark.timeout(300)
def test_minds_no_modules_of_the_current_directory(hostile):
    code = "from server.command.verbs import main; main()"
    done = run_in(hostile, code, "collect", "brownian", "--out", "data", "--sequences", 1, "--workers", 1)
    assert done.returncode == 0, done.stderr
    assert (hostile / "data" / "shard-00000.h5").is_file()


@pytest.mark.timeout(300)
def test_servers_of_its_own_mind_none_either(hostile):
    code = "from server.local import running_server as run; run('no-such-model', 1).__enter__()"
    done = run_in(hostile, code)
    assert done.returncode == 1
    assert "no model 'no-such-model'" in done.stderr
