"""What the service adds to the work, and what it gains by sharing the device: ``python -m server.benchmark``.

Servers are started for the occasion; beside ``planner.benchmark`` this says what HTTP costs.
"""

import os
import platform
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from numpy.typing import NDArray

from envs.push.env import PushEnv
from envs.push.episodes import load_manifest
from planner.benchmark import figures_table
from server.client import Client
from server.local import running_server
from world_models.files import write_results
from world_models.jobs.command import Failure, command
from world_models.jobs.outputs import check_outputs

AT_ONCE = 8
"""Requests that are sent at the same time."""


@dataclass(frozen=True)
class Benchmark:
    """What to measure."""

    model: str = "keyin-push"
    """Shipped planner or model folder."""
    world: str = "struct-vrnn-push"
    """Shipped world model, or model folder, that moves an object."""
    threads: int = 1
    """Threads of torch in the server."""
    repeats: int = 30
    """Plans whose time is taken; a third as many rounds of eight requests."""
    out: Path = Path("serving.json")


Pictures = tuple[NDArray[np.uint8], NDArray[np.uint8]]


def plan_over_http(model: str, threads: int, repeats: int, env: PushEnv) -> dict[str, Any]:
    """A plan from a server in another process; ``http_share`` is what is not the model's work.

    That is HTTP, pictures, the queue and the way to the engine and back, as a part of what the client waits.
    """
    start, goal = _scenes(env, 1)[0]
    totals, shares = [], []
    with running_server(model, threads) as url, Client(url) as client:
        for repeat in range(repeats + 2):
            begun = time.perf_counter()
            reply = client.plan(start, goal, seed=repeat)
            total = 1e3 * (time.perf_counter() - begun)
            if repeat >= 2:
                totals.append(total)
                shares.append(1 - reply.response.timings.plan_ms / total)
    return {
        "plan_ms_p50": float(np.median(totals)),
        "plan_ms_p95": float(np.percentile(totals, 95)),
        "http_share": float(np.median(shares)),
    }


def concurrency(planner: str, world: str, threads: int, repeats: int, env: PushEnv) -> dict[str, Any]:
    """Eight requests at once, as a share of the time they take in a row; smaller is better.

    The default plan, a plan of 20 candidates, and an action.

    Raises:
        RuntimeError: a reply at once differs by a bit from that in a row.
    """
    scenes = _scenes(env, AT_ONCE)
    figures: dict[str, Any] = {"requests": AT_ONCE}
    with running_server(f"{planner},{world}", threads) as url:
        clients = [Client(url) for _ in scenes]
        kinds: dict[str, Callable[[int], str]] = {
            "plans": lambda i: _plan(clients[i], scenes[i], i),
            "small_plans": lambda i: _plan(clients[i], scenes[i], i, samples=20),
            "actions": lambda i: clients[i].act(scenes[i][0][None], scenes[i][1], seed=i).response.digest,
        }
        for kind, ask in kinds.items():
            in_a_row, at_once = _measured(ask, repeats)
            figures |= {
                f"{kind}_in_a_row_ms": float(np.median(in_a_row)),
                f"{kind}_at_once_ms": float(np.median(at_once)),
                f"{kind}_ratio": float(np.median(np.array(at_once) / np.array(in_a_row))),
            }
        for client in clients:
            client.close()
    return figures


def _plan(client: Client, scene: Pictures, seed: int, samples: int | None = None) -> str:
    # Nobody is to be refused, however busy the machine is.
    return client.plan(*scene, seed=seed, samples=samples, deadline_ms=60_000).response.digest


def _measured(ask: Callable[[int], str], repeats: int) -> tuple[list[float], list[float]]:
    """Milliseconds of all requests in a row and at once, alternately, after a round that is not measured."""
    in_a_row, at_once = [], []
    with ThreadPoolExecutor(AT_ONCE) as threads:
        for repeat in range(repeats + 1):
            begun = time.perf_counter()
            alone = [ask(i) for i in range(AT_ONCE)]
            between = time.perf_counter()
            together: Sequence[str] = list(threads.map(ask, range(AT_ONCE)))
            ended = time.perf_counter()
            if alone != together:
                raise Failure("a reply at once differs from the same request alone")
            if repeat:
                in_a_row.append(1e3 * (between - begun))
                at_once.append(1e3 * (ended - between))
    return in_a_row, at_once


def _scenes(env: PushEnv, count: int) -> list[Pictures]:
    """Start and goal of the first frozen episodes."""
    drawn = [env.reset(options={"scene": scene}) for scene in load_manifest("push-400").starts[:count]]
    return [(start, info["goal"]) for start, info in drawn]


def benchmark(settings: Benchmark) -> dict[str, Any]:
    """Run all measurements and write them to ``settings.out``."""
    env = PushEnv()
    rounds = max(1, settings.repeats // 3)
    figures = {
        "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "torch": torch.__version__},
        "threads": settings.threads,
        "repeats": settings.repeats,
        "http": plan_over_http(settings.model, settings.threads, settings.repeats, env),
        "concurrency": concurrency(settings.model, settings.world, settings.threads, rounds, env),
    }
    env.close()
    return write_results(
        settings.out, "server.benchmark", figures, figures_table(figures, ("http", "concurrency"))
    )


@command()
def main() -> None:
    """Command line entry point."""
    settings = tyro.cli(Benchmark, prog="python -m server.benchmark", description=__doc__)
    if settings.repeats < 1 or settings.threads < 1:
        raise ValueError("--repeats and --threads must be at least 1")
    check_outputs("--out", settings.out)
    result = benchmark(settings)
    print(result["table"])
    print(f"\nwritten: {settings.out}")


if __name__ == "__main__":
    main()
