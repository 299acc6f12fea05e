"""Two machines, one lost under load, rehearsed on this one: ``python -m server.load.rehearsal``.

A Ray cluster is started here whose two nodes have room for two replicas each; clients ask for plans all the
time. First a replica is killed, then a node with all that runs on it. Said is what was lost, and when there
were two replicas again. Needs the extra ``ray``; ends with status 1 if more was lost than was held at the
time, or if it took longer than half a minute.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO, cast

import tyro

from server.cluster.serving import NAME
from server.load.client import LoadClient, Reply, closed_loop
from server.load.run import Load, Requests
from world_models.files import write_results
from world_models.jobs.cluster import connect
from world_models.jobs.command import Failure, command
from world_models.jobs.outputs import check_outputs
from world_models.jobs.workers import worker_environment

REPLICAS = 2
RESTORED_SECONDS = 30.0
"""Until there are as many replicas as before."""
_REFUSED = (429, 503)
_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Rehearsal:
    """What to rehearse."""

    out: Path = Path("rehearsal.json")
    """Where the figures go."""
    clients: int = 4
    """Clients that ask for plans, each as soon as it is answered."""
    seconds: float = 40.0
    """For how long they ask around each loss; it comes after a quarter of that."""


def rehearse(run: Rehearsal) -> dict[str, Any]:
    """Start the cluster and the server, kill, count; answers the figures."""
    with _head() as cluster, _server(cluster.address) as (lines, url):
        ray = connect(cluster.address)
        # Before there are nodes to be lost, the server is where it stays.
        while "plans" not in {named["name"] for named in ray.util.list_named_actors(all_namespaces=True)}:
            time.sleep(_POLL_SECONDS)
        nodes = [_add_node(cluster) for _ in range(2)]
        _wait(lines)
        from ray import serve

        client = LoadClient(url)
        requests = Requests(client, url, Load())
        losses: dict[str, Callable[[], None]] = {
            "a replica": lambda: _kill_replica(ray),
            "a node": lambda: cluster.remove_node(nodes[0], allow_graceful=False),
        }
        rows = [
            {"lost": name, **_loss(run, client, requests.plan, kill, lambda: _running(serve))}
            for name, kill in losses.items()
        ]
    kept = all(row["failed"] <= row["held"] and row["restored_seconds"] <= RESTORED_SECONDS for row in rows)
    return {"rows": rows, "kept": kept}


def _loss(
    run: Rehearsal,
    client: LoadClient,
    request: Callable[[int], bytes],
    kill: Callable[[], None],
    running: Callable[[], int],
) -> dict[str, Any]:
    """Ask all the time, kill after a quarter of it, and say what became of the requests."""

    async def asked() -> tuple[list[Reply], float, float]:
        begun = time.perf_counter()
        asking = asyncio.create_task(closed_loop(client, request, run.clients, run.seconds))
        await asyncio.sleep(run.seconds / 4)
        await asyncio.to_thread(kill)
        killed, fewer = time.perf_counter(), False
        while not asking.done() and not (fewer and await asyncio.to_thread(running) >= REPLICAS):
            fewer = fewer or await asyncio.to_thread(running) < REPLICAS
            await asyncio.sleep(_POLL_SECONDS)
        restored = time.perf_counter()
        replies, _ = await asking
        return replies, killed - begun, restored - killed

    replies, killed, restored = asyncio.run(asked())
    good = [reply for reply in replies if reply.status == 200]
    failed = [reply for reply in replies if reply.status not in (200, *_REFUSED)]
    before = [one for one in good if one.at + one.seconds < killed]
    after = [one for one in good if one.at > killed + restored]
    return {
        "answered": len(good),
        "refused": len(replies) - len(good) - len(failed),
        "failed": len(failed),
        "held": sum(one.at < killed < one.at + one.seconds for one in replies),
        "restored_seconds": round(restored, 1),
        "per_second_before": round(len(before) / killed, 2),
        "per_second_after": round(len(after) / max(run.seconds - killed - restored, 1e-9), 2),
    }


def _running(serve: Any) -> int:
    """Replicas that take requests."""
    found = serve.status().applications[NAME].deployments[NAME].replica_states
    return int(found.get("RUNNING", 0))


def _kill_replica(ray: Any) -> None:
    """As the kernel does to what takes too much memory."""
    names = [
        named["name"]
        for named in ray.util.list_named_actors(all_namespaces=True)
        if named["name"].startswith("SERVE_REPLICA::")
    ]
    first = ray.get_actor(min(names), namespace="serve")
    os.kill(ray.get(first.__ray_call__.remote(_own_process)), signal.SIGKILL)


def _own_process(replica: Any) -> int:
    return os.getpid()


@contextmanager
def _head() -> Iterator[Any]:
    """A cluster whose first node has no room for replicas. Raises Failure if Ray is not installed."""
    try:
        import ray
        from ray.cluster_utils import Cluster
    except ImportError as error:
        raise Failure("a rehearsal needs Ray: pip install 'waymark[ray]'") from error
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    try:
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()


def _add_node(cluster: Any) -> Any:
    # On machines of their own, all nodes would listen on the same port.
    os.environ["RAY_SERVE_WORKER_PROXY_HTTP_PORT"] = str(_free_port())
    return cluster.add_node(num_cpus=REPLICAS)


@contextmanager
def _server(address: str) -> Iterator[tuple[TextIO, str]]:
    """``python -m server`` on the cluster: what it prints, and its URL."""
    port = _free_port()
    words = [sys.executable, "-P", "-m", "server", "--ray", address, "--models", "keyin-push"]
    replicas = str(REPLICAS)
    words += ["--port", str(port), "--least-replicas", replicas, "--most-replicas", replicas]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=worker_environment()) as process:
        try:
            yield cast(TextIO, process.stdout), f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _wait(lines: TextIO) -> None:
    """Until the server has its replicas. Raises Failure if it does not start."""
    if not any("Ray Serve running" in line for line in lines):
        raise Failure("the server did not start; what it said is above")
    threading.Thread(target=lines.read, daemon=True).start()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@command()
def main() -> None:
    """Command line entry point."""
    run = tyro.cli(Rehearsal, prog="python -m server.load.rehearsal", description=__doc__)
    check_outputs("--out", run.out)
    content = rehearse(run)
    columns = list(content["rows"][0])
    lines = [
        columns,
        ["---"] * len(columns),
        *([str(value) for value in row.values()] for row in content["rows"]),
    ]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    write_results(run.out, "server.load.rehearsal", content, table)
    print(table)
    if not content["kept"]:
        sys.exit(1)


if __name__ == "__main__":
    main()
