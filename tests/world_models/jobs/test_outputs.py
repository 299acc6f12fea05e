"""What is asked before a job's first step, and files that links lead to."""

import os
import subprocess
import sys
from collections import namedtuple

import pytest

from server.keys import add_key, read_keys
from world_models.files import write_bytes, written_whole
from world_models.jobs import outputs
from world_models.jobs.outputs import check_device, check_outputs

Usage = namedtuple("Usage", "total used free")


def test_folders_are_made_and_nothing_is_left_in_them(tmp_path):
    check_outputs("--out", tmp_path / "a" / "o.json", tmp_path / "a" / "o.png")
    assert [*(tmp_path / "a").iterdir()] == []


def test_one_output_does_not_overwrite_another(tmp_path):
    with pytest.raises(ValueError, match=r"twice.*another --out, such as .*o\.json"):
        check_outputs("--out", tmp_path / "o.png", tmp_path / "o.png")
    (tmp_path / "link.png").symlink_to(tmp_path / "o.json")
    with pytest.raises(ValueError, match="twice"):
        check_outputs("--out", tmp_path / "o.json", tmp_path / "link.png")


def test_places_that_cannot_be_written_are_named(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="is a folder"):
        check_outputs("--out", tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(
        ValueError, match=r"o\.json cannot be written: .*file is no folder; choose another --out"
    ):
        check_outputs("--out", tmp_path / "file" / "o.json")
    monkeypatch.setattr(outputs.shutil, "disk_usage", lambda path: Usage(10, 10, 0))
    with pytest.raises(ValueError, match=r"0 MB of room.*another --video"):
        check_outputs("--video", tmp_path / "o.json")


@pytest.mark.parametrize("name", ["cuda:99", "tpu", "gpu"])
def test_devices_that_are_not_here_are_refused_with_those_that_are(name):
    with pytest.raises(ValueError, match=rf"device '{name}' is not available here; cpu always is"):
        check_device(name)


def test_a_link_stays_a_link_and_access_stays_as_it_was(tmp_path):
    secret = tmp_path / "there" / "keys.txt"
    write_bytes(secret, b"a")
    assert secret.stat().st_mode & 0o777 == 0o644
    secret.chmod(0o600)
    (tmp_path / "link.txt").symlink_to(secret)
    write_bytes(tmp_path / "link.txt", b"b")
    assert (tmp_path / "link.txt").is_symlink()
    assert (secret.read_bytes(), secret.stat().st_mode & 0o777) == (b"b", 0o600)


def test_a_key_is_added_to_the_file_that_a_link_leads_to(tmp_path):
    (tmp_path / "link.txt").symlink_to(tmp_path / "keys.txt")
    keys = [add_key(tmp_path / "link.txt", name) for name in ("ann", "bob")]
    assert [*map(read_keys(tmp_path / "keys.txt").owner, keys)] == ["ann", "bob"]


def test_what_was_not_finished_is_not_left(tmp_path):
    write_bytes(tmp_path / "a.txt", b"old")

    def fail() -> None:
        with written_whole(tmp_path / "a.txt") as temporary:
            temporary.write_bytes(b"new")
            assert temporary.stat().st_mode & 0o777 == 0o600
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a.txt": b"old"}


@pytest.mark.parametrize("backend", ["module://matplotlib_inline.backend_inline", "nonsense"])
def test_figures_do_not_ask_which_display_there_is(tmp_path, backend):
    code = (
        "import sys, pathlib; from world_models.jobs.figures import new_figure, save_figure; "
        "from planner.evaluation import films; from planner.evaluation.figures import curves; "
        "figure = new_figure(); figure.subplots(2, 2); save_figure(figure, pathlib.Path(sys.argv[1]))"
    )
    environment = {**os.environ, "MPLBACKEND": backend}
    command = [sys.executable, "-c", code, str(tmp_path / "f.png")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "f.png").read_bytes().startswith(b"\x89PNG")
