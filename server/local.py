"""A server of one's own: started as a child process on a free port, stopped at the end."""

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from server.client import Client
from world_models.jobs.command import Failure
from world_models.jobs.workers import worker_environment

START_SECONDS = 120.0


@contextmanager
def running_server(models: str, threads: int) -> Iterator[str]:
    """Start ``python -m server`` with these models and answer its URL once it is ready for plans.

    Raises:
        Failure: the server ended or did not become ready in two minutes.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    # -P: another module of that name in the current directory is not meant.
    command = [sys.executable, "-P", "-m", "server", "--port", str(port), "--models", models]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [*command, "--threads", str(threads)], stdout=log, stderr=log, env=worker_environment()
        )
        try:
            _wait(process, url, log)
            yield url
        finally:
            process.terminate()
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait(process: subprocess.Popen[bytes], url: str, log: IO[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    with Client(url) as client:
        while not client.ready():
            if process.poll() is not None:
                log.seek(0)
                words = log.read().decode(errors="replace").strip().splitlines() or ["no word"]
                raise Failure(f"the server ended with status {process.returncode}: {words[-1]}")
            if time.monotonic() > deadline:
                raise Failure(f"the server was not ready within {START_SECONDS:.0f} s")
            time.sleep(0.2)
