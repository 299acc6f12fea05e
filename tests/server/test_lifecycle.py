"""The whole process from its start to its end: clients that leave, signals, an engine that fails."""

import http.client
import json
import os
import re
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

Reply = tuple[int, bytes]
DEADLINE_MS = 3_600_000
"""Of all plans: that a busy machine would be late is not the matter here."""


@dataclass
class Served:
    """A server in a process of its own."""

    process: ForkServerProcess
    log: Path

    @property
    def port(self) -> int:
        """Where it listens, as it says in its log; 0 as long as it does not say."""
        found = re.search(rb"running on http://127\.0\.0\.1:(\d+)", self.log.read_bytes())
        return int(found[1]) if found else 0

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None, **headers: str) -> Reply:
        """Status and body of a reply. Raises OSError or HTTPException if there is none."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            content = None if body is None else json.dumps(body)
            connection.request(method, path, content, {"Content-Type": "application/json", **headers})
            reply = connection.getresponse()
            return reply.status, reply.read()
        finally:
            connection.close()

    def ready(self) -> bool:
        """Whether requests may be sent."""
        try:
            return self.ask("GET", "/readyz")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def figure(self, name: str, **labels: str) -> float:
        """A figure of ``/metrics``, 0 if it is not there."""
        families = text_string_to_metric_families(self.ask("GET", "/metrics")[1].decode())
        return sum(
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def batches(self) -> float:
        """How many batches of roll-outs have been computed."""
        return self.figure("waymark_engine_batch_rows_count")


def serve(log: Path, before: Callable[[], None] | None) -> None:
    """What ``python -m server`` does, in a child process."""
    from server.__main__ import main

    with log.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    if before is not None:
        before()
    os.environ["WAYMARK_MAX_DEADLINE_MS"] = str(DEADLINE_MS)
    sys.argv = ["server", "--port", "0", "--models", "keyin-push"]
    main()


Start = Callable[..., Any]


@pytest.fixture(scope="module")
def start(processes: ForkServerContext, tmp_path_factory: pytest.TempPathFactory) -> Start:
    """``start(before=None)``: a context with a server that is ready; ``before`` runs first in its process."""

    @contextmanager
    def running(before: Callable[[], None] | None = None) -> Iterator[Served]:
        log = tmp_path_factory.mktemp("server") / "log"
        log.touch()
        process = processes.Process(target=serve, args=(log, before))
        process.start()
        served = Served(process, log)
        try:
            wait_for(served.ready)
            yield served
        finally:
            process.kill()
            process.join()

    return running


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.005)


@pytest.fixture(scope="module")
def server(start: Start) -> Iterator[Served]:
    with start() as served:
        yield served


@pytest.fixture(scope="module")
def body(server: Served) -> dict[str, Any]:
    """A plan as large as is allowed: an iteration takes longer than noticing that a client has left."""
    document = json.loads(server.ask("GET", "/openapi.json")[1])
    request = document["paths"]["/v1/plans"]["post"]["requestBody"]
    example: dict[str, Any] = request["content"]["application/json"]["example"]
    return example | {"samples": 5000, "iterations": 4, "deadline_ms": DEADLINE_MS}


@pytest.mark.parametrize("times", [4, pytest.param(50, marks=pytest.mark.slow)])
def test_work_ends_within_an_iteration_of_the_clients_leaving(
    server: Served, body: dict[str, Any], times: int
) -> None:
    before = server.batches()
    assert server.ask("POST", "/v1/plans", body | {"iterations": 1})[0] == 200
    iteration = server.batches() - before

    def dropped() -> float:
        return server.figure("waymark_jobs_total", kind="plan", outcome="cancelled")

    cancelled = dropped()
    for number in range(times):
        begun = server.batches()
        accept = "text/event-stream" if number % 2 else "application/json"
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(as_request(body | {"seed": number}, accept))
            wait_for(lambda begun=begun: server.batches() > begun)
        left = server.batches()
        wait_for(lambda: server.figure("waymark_engine_jobs") == 0)
        assert server.batches() - left <= iteration, f"client {number}"
    # A job is counted a moment after it has gone, a request after its job.
    wait_for(lambda: dropped() >= cancelled + times)
    assert dropped() == cancelled + times
    wait_for(lambda: server.figure("waymark_http_client_disconnects_total", route="/v1/plans") >= times)


def as_request(body: dict[str, Any], accept: str) -> bytes:
    content = json.dumps(body).encode()
    head = (
        "POST /v1/plans HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Accept: {accept}\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


@pytest.mark.parametrize("servers", [1, pytest.param(25, marks=pytest.mark.slow)])
def test_plans_are_answered_when_the_server_is_told_to_end(
    start: Start, body: dict[str, Any], servers: int
) -> None:
    for _ in range(servers):
        with start() as served:
            end_mid_plan(served, body)


def end_mid_plan(served: Served, body: dict[str, Any]) -> None:
    """Two plans are being made when the signal comes; both are answered, and the process ends."""
    # Short iterations: a busy machine, too, ends one of each plan in the seconds that draining allows.
    body = body | {"samples": 100, "iterations": 80}
    begun = served.batches()
    with ThreadPoolExecutor() as pool:
        plans = [
            pool.submit(served.ask, "POST", "/v1/plans", body, Accept=accept)
            for accept in ("application/json", "text/event-stream")
        ]
        wait_for(
            lambda: (
                (served.figure("waymark_engine_jobs") == 2 and served.batches() > begun)
                or any(plan.done() for plan in plans)
            )
        )
        os.kill(served.process.pid or 0, signal.SIGTERM)
        told = time.monotonic()
        wait_for(lambda: not served.ready())
        for plan in plans:
            status, content = plan.result(60)
            assert status == 200 and reply_of(content)["stop_reason"] == "cancelled", content
    served.process.join(60)
    assert time.monotonic() - told < 30 and served.process.exitcode == -signal.SIGTERM
    assert b"Traceback" not in served.log.read_bytes()


def reply_of(content: bytes) -> dict[str, Any]:
    """The plan in a reply, which may be a stream of events."""
    *_, last = content.decode().strip().split("\n\n")
    name, _, data = last.rpartition("data: ")
    assert name in {"", "event: result\n"}, last
    plan: dict[str, Any] = json.loads(data)
    return plan


def test_a_server_without_engine_ends(start: Start, body: dict[str, Any], tmp_path: Path) -> None:
    with start(Sabotage(tmp_path / "now")) as served:
        (tmp_path / "now").touch()
        status, content = served.ask("POST", "/v1/plans", body)
        assert (status, json.loads(content)["type"]) == (500, "urn:waymark:problem:internal-error")
        served.process.join(60)
        assert served.process.exitcode == 1
        assert b"The engine has failed" in served.log.read_bytes()


@dataclass
class Sabotage:
    """Makes the engine fail at its next batch once a file is there."""

    signal: Path

    def __call__(self) -> None:
        from planner.search.batching import Batcher

        compute = Batcher.compute

        def fail(sharing: Batcher, questions: Any) -> Any:
            if self.signal.exists():
                raise SystemExit("the device is gone")
            return compute(sharing, questions)

        Batcher.compute = fail  # type: ignore[method-assign]


def test_models_are_loaded_anew_on_sighup(server: Served, body: dict[str, Any]) -> None:
    short = body | {"samples": 50, "iterations": 1}
    before = json.loads(server.ask("POST", "/v1/plans", short)[1])
    os.kill(server.process.pid or 0, signal.SIGHUP)
    wait_for(lambda: server.figure("waymark_reloads_total", outcome="ok") == 1)
    after = json.loads(server.ask("POST", "/v1/plans", short)[1])
    assert after["digest"] == before["digest"] and b"were loaded anew" in server.log.read_bytes()


@pytest.mark.parametrize("plans", [8, pytest.param(100, marks=pytest.mark.slow)])
def test_plans_are_the_same_alone_and_together(server: Served, body: dict[str, Any], plans: int) -> None:
    bodies = [body | {"samples": 60 + number, "iterations": 2, "seed": number} for number in range(plans)]

    def digest(body: dict[str, Any]) -> str:
        status, content = server.ask("POST", "/v1/plans", body)
        assert status == 200
        return str(json.loads(content)["digest"])

    alone = [digest(body) for body in bodies]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(digest, bodies)) == alone
