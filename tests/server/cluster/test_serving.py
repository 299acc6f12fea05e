"""``python -m server --ray`` from outside: two replicas, one of them killed, and what is lost."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from socket import create_server
from typing import Any

import pytest

from server.__main__ import main
from server.cluster.serving import _until_told

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: waymark[ray]")
JSON = {"Content-Type": "application/json"}
LATER = {"Prefer": "respond-async"}


class Cluster:
    """A service under Ray at a port of this machine."""

    def __init__(self, port: int, process: "subprocess.Popen[bytes]") -> None:
        self.url, self.process = f"http://127.0.0.1:{port}", process

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any, str]:
        """Status, JSON or text, and Location of a reply."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, JSON | headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                content, status, head = reply.read(), reply.status, reply.headers
        except urllib.error.HTTPError as error:
            content, status, head = error.read(), error.code, error.headers
        return status, _read(content), head.get("Location", "")

    def status(self, place: str) -> Any:
        """How a plan stands; None from a replica that has just ended."""
        status, found, _ = self.ask("GET", place)
        return found if status == 200 else None

    def ended(self, place: str) -> bool:
        """Whether a plan is known to be at work no more."""
        found = self.status(place)
        return found is not None and found["status"] not in ("queued", "running")

    def replicas(self) -> list[int]:
        """The processes of all replicas."""
        return self.processes(b"ray::ServeReplica")

    def processes(self, name: bytes) -> list[int]:
        """Those of the cluster whose command line begins so."""
        return [process for process in _descendants(self.process.pid) if _begins(process, name)]

    def example(self) -> dict[str, Any]:
        """A plan request that the service describes itself."""
        operation = self.ask("GET", "/openapi.json")[1]["paths"]["/v1/plans"]["post"]
        example: dict[str, Any] = operation["requestBody"]["content"]["application/json"]["example"]
        return example


def _read(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return content.decode()


def _begins(process: int, name: bytes) -> bool:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().startswith(name)
    except OSError:
        return False


def _descendants(process: int) -> list[int]:
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = [process]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def wait_for(condition: Callable[[], Any], seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two replicas of one planner."""
    with create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    log = tmp_path_factory.mktemp("cluster") / "log"
    words = [sys.executable, "-m", "server", "--ray", "local", "--models", "keyin-push", "--port", str(port)]
    words += ["--least-replicas", "2", "--most-replicas", "2"]
    with log.open("wb") as file:
        process = subprocess.Popen(words, stdout=file, stderr=file, cwd=Path(__file__).parents[3])
    try:
        wait_for(lambda: b"Ray Serve running on" in log.read_bytes() or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        yield Cluster(port, process)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(90) == 128 + signal.SIGTERM


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setattr(sys, "argv", ["server", "--ray"])
    with pytest.raises(SystemExit, match=r"waymark\[ray\]"):
        main()


@needs_ray
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_plans_are_found_whichever_replica_is_asked(cluster: Cluster) -> None:
    assert cluster.ask("GET", "/readyz")[0] == 200
    example = cluster.example()
    status, plan, _ = cluster.ask("POST", "/v1/plans", example)
    assert status == 200
    status, begun, place = cluster.ask("POST", "/v1/plans", example, **LATER)
    assert status == 202 and place == f"/v1/plans/{begun['id']}"
    wait_for(lambda: cluster.ask("GET", place)[1]["status"] == "done")
    # Requests are spread over both replicas: of twenty, each has some.
    found = [cluster.ask("GET", where)[1] for where in (place, f"/v1/plans/{plan['id']}") for _ in range(20)]
    assert {one["result"]["digest"] for one in found} == {plan["digest"]}


def test_sighup_does_not_stop_the_command() -> None:
    with _until_told():
        # Not sent for real: were it not ignored, it would end the tests.
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


@needs_ray
@pytest.mark.slow
@pytest.mark.timeout(150)
def test_a_port_that_is_taken_is_said_in_a_sentence() -> None:
    words = [sys.executable, "-m", "server", "--ray", "local", "--models", "keyin-push", "--port"]
    with create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        run = subprocess.run(
            [*words, str(port)], stderr=subprocess.PIPE, timeout=120, cwd=Path(__file__).parents[3]
        )
    said = run.stderr.decode().splitlines()
    assert run.returncode == 1
    assert said[-1].startswith(f"a server cannot listen on 127.0.0.1, port {port} ("), said
    assert not any("Traceback" in line for line in said)


@needs_ray
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_requests_outlive_the_process_that_keeps_plans(cluster: Cluster) -> None:
    example = cluster.example()
    place = cluster.ask("POST", "/v1/plans", example, **LATER)[2]
    (kept,) = cluster.processes(b"ray::PlanStore")
    os.kill(kept, signal.SIGKILL)
    assert [cluster.ask("POST", "/v1/plans", example)[0] for _ in range(4)] == [200] * 4
    wait_for(lambda: cluster.ended(place))
    assert cluster.ask("GET", place)[1]["status"] == "done"


@needs_ray
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_killed_replica_loses_what_it_held_and_nothing_else(cluster: Cluster) -> None:
    example = cluster.example()
    before = cluster.ask("POST", "/v1/plans", example, **LATER)[2]
    wait_for(lambda: cluster.ended(before))
    long = example | {"samples": 400, "iterations": 10, "deadline_ms": 12_000}
    held = [cluster.ask("POST", "/v1/plans", long, **LATER)[2] for _ in range(2)]
    assert all(held), "two of these are less than their deadline allows, wherever they are"
    first = cluster.replicas()
    assert len(first) == 2
    os.kill(first[0], signal.SIGKILL)
    wait_for(lambda: all(cluster.ended(place) for place in held))
    lost = [end for end in map(cluster.status, held) if end["status"] != "done"]
    assert {end["problem"]["type"] for end in lost} <= {"urn:waymark:problem:plan-lost"}
    assert cluster.status(before)["status"] == "done"
    wait_for(lambda: len({*cluster.replicas()} - {first[0]}) == 2)
    wait_for(lambda: all(cluster.ask("POST", "/v1/plans", example)[0] == 200 for _ in range(4)))
