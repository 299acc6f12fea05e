"""Settings from an environment in which others speak too, and models whose bytes a clone must not change."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from server.__main__ import main
from server.settings import Settings
from world_models.checkpoint import read_model

ROOT = Path(__file__).parents[2]


def test_a_service_of_kubernetes_of_the_same_name_is_not_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "WAYMARK_PORT": "tcp://10.96.0.12:8000",
        "WAYMARK_SERVICE_HOST": "10.96.0.12",
        "WAYMARK_SERVICE_PORT": "8000",
        "WAYMARK_PORT_8000_TCP": "tcp://10.96.0.12:8000",
        "WAYMARK_PORT_8000_TCP_PORT": "8000",
    }.items():
        monkeypatch.setenv(name, value)
    assert Settings().port == 8000
    assert Settings(port=9000).port == 9000
    monkeypatch.setenv("WAYMARK_PORT", "9001")
    assert Settings().port == 9001
    monkeypatch.setenv("WAYMARK_PORT", "http")
    with pytest.raises(ValidationError):
        Settings()


@pytest.mark.parametrize(
    ("environment", "flags", "words"),
    [
        ({"WAYMARK_PORT": "http"}, [], "WAYMARK_PORT: Input should be a valid integer"),
        ({"WAYMARK_QUEUE_SIZE": "0"}, [], "WAYMARK_QUEUE_SIZE: Input should be greater than or equal to 1"),
        (
            {"WAYMARK_PORT": "http"},
            ["--port", "70000"],
            "--port: Input should be less than",
        ),
        ({}, ["--ray", "--port", "0"], "under Ray cannot take a free port: choose a --port"),
        ({}, ["--device", "tpu"], "device 'tpu' is not available here; cpu always is"),
    ],
)
def test_a_wrong_setting_says_where_it_is_from(
    environment: dict[str, str],
    flags: list[str],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["server", *flags])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2 and words in capsys.readouterr().err


@pytest.mark.parametrize("host", ["127.0.0.1", "nowhere.invalid"])
def test_an_address_that_is_taken_is_said_before_models_are_loaded(
    host: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("server.__main__.load_ready", None)
    monkeypatch.setattr("server.settings.is_loopback", lambda host: True)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(sys, "argv", ["server", "--port", str(port), "--host", host])
        with pytest.raises(SystemExit) as ended:
            main()
    assert ended.value.code == 2
    assert f"cannot listen on {host}, port {port} (" in capsys.readouterr().err


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this is no clone")
@pytest.mark.parametrize("setting", ["true", "false", "input"])
def test_models_are_whole_whatever_git_does_with_lines(tmp_path: Path, setting: str) -> None:
    model = "world_models/pretrained/tap-push"
    git = ["git", "-c", f"core.autocrlf={setting}", "-c", "core.eol=crlf"]
    files = subprocess.check_output(["git", "ls-files", model], cwd=ROOT, text=True).split()
    subprocess.run([*git, "checkout-index", f"--prefix={tmp_path}/", "--", *files], cwd=ROOT, check=True)
    assert shutil.which("git") and len(files) >= 3
    assert read_model(tmp_path / model).weights_digest == read_model(ROOT / model).weights_digest


def test_the_environment_is_left_as_it_was() -> None:
    assert "WAYMARK_WORKER_OF" not in os.environ
