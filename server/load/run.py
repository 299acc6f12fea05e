"""More requests than can be answered: ``python -m server.load --out load.json``.

Measures what the server can do (clients that wait for their answers), then what it does when plans are
asked for several times as fast, at random times and without waiting. Writes the figures, draws them beside,
and ends with status 1 if a bound is not kept.
"""

import asyncio
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import numpy as np
import tyro
from tqdm import tqdm

from envs.push.env import PushEnv
from server.actions.schemas import ACTIONS_PATH
from server.catalogue.schemas import PlannerInfo, WorldModelInfo
from server.client import Client, ServerProblem
from server.health.schemas import LIVE_PATH
from server.http.pictures import to_base64
from server.load.client import LoadClient, Reply, closed_loop, open_loop, poisson, poll
from server.load.report import Figures, bounds, markdown, overload, picture, throughput
from server.local import running_server
from server.plans.schemas import PLANS_PATH
from world_models.files import write_results
from world_models.jobs.command import Failure, command
from world_models.jobs.outputs import check_outputs

T = TypeVar("T")
CLIENTS = (1, 2, 4, 8)
TOGETHER = 8
ROUNDS = 3
"""How often that many plans are made in a row and together."""
POLL_SECONDS = 0.1
MODELS = "keyin-push,struct-vrnn-push"
PACKAGES = ("torch", "fastapi", "uvicorn", "waymark")


@dataclass(frozen=True)
class Load:
    """What to measure."""

    out: Path = Path("load.json")
    """Figures; the picture is written beside it."""
    url: str | None = None
    """A running server without keys; left out, one is started for the occasion."""
    seconds: float = 60.0
    """For how long there is overload."""
    factor: float = 5.0
    """How many times as fast as they can be answered requests come."""
    capacity_seconds: float = 6.0
    """For how long each number of clients is measured."""
    deadline_ms: int = 3000
    """Of every plan under overload."""
    scenes: int = 8
    """How many tasks the requests are about, in turn."""
    seed: int = 0
    """Of tasks and arrivals."""


class Requests:
    """Prepared requests for plans and actions: no two are alike, as each has a seed of its own."""

    def __init__(self, client: LoadClient, url: str, load: Load) -> None:
        """Raises Failure if the server has no planner."""
        self._client = client
        with Client(url) as asking:
            models = asking.models()
        planner = next((model.name for model in models if isinstance(model, PlannerInfo)), None)
        if planner is None:
            raise Failure(f"{url} has no model that plans")
        self._planner = planner
        pushing = (model.name for model in models if isinstance(model, WorldModelInfo) and _pushes(model))
        self.pusher = next(pushing, None)
        self._scenes = _scenes(load)

    def plan(self, number: int, **fields: Any) -> bytes:
        """For the plan of that number."""
        scene = self._scenes[number % len(self._scenes)]
        body = {"model": self._planner, "start": scene["frames"][0], "goal": scene["goal"], "seed": number}
        return self._client.request("POST", PLANS_PATH, json.dumps(body | fields).encode())

    def action(self, number: int) -> bytes:
        """For the action of that number."""
        scene = self._scenes[number % len(self._scenes)]
        still = [[0.0, 0.0]] * (len(scene["frames"]) - 1)
        body = {
            "model": self.pusher,
            "frames": scene["frames"],
            "past_actions": still,
            "subgoal": scene["goal"],
            "seed": number,
        }
        return self._client.request("POST", ACTIONS_PATH, json.dumps(body).encode())


def _pushes(model: WorldModelInfo) -> bool:
    return any(control.objective == "push" for control in model.control)


def _scenes(load: Load) -> list[dict[str, Any]]:
    """Pictures of tasks in which the robot rests: four of them as they are, one as they should be."""
    env = PushEnv()
    scenes = []
    for number in range(load.scenes):
        picture, info = env.reset(seed=load.seed + number)
        frames = [picture, *(env.step(np.zeros(2))[0] for _ in range(3))]
        scenes.append({"frames": [to_base64(frame) for frame in frames], "goal": to_base64(info["goal"])})
    env.close()
    return scenes


async def _rates(
    client: LoadClient, request: Callable[[int], bytes], load: Load, bar: "_Bar"
) -> list[Figures]:
    """Answers per second for several numbers of clients."""
    rows = []
    for clients in CLIENTS:
        work = closed_loop(client, request, clients, load.capacity_seconds)
        replies, seconds = await bar.during(work, load.capacity_seconds)
        rows.append(throughput(clients, replies, seconds))
    return rows


async def _together(client: LoadClient, requests: Requests) -> Figures:
    """The same plans in a row and at the same time: how long they take, and whether they are the same."""
    in_row, at_once, different = [], [], 0
    for round_ in range(ROUNDS):
        numbers = range(round_ * TOGETHER, (round_ + 1) * TOGETHER)
        prepared = [requests.plan(number, deadline_ms=60_000) for number in numbers]
        begun = time.perf_counter()
        alone = [await client.send(request, begun) for request in prepared]
        middle = time.perf_counter()
        shared = await asyncio.gather(*(client.send(request, middle) for request in prepared))
        in_row.append(middle - begun)
        at_once.append(time.perf_counter() - middle)
        different += sum(
            one.status != 200 or one.digest != other.digest for one, other in zip(alone, shared, strict=True)
        )
    return {
        "plans": TOGETHER,
        "rounds": ROUNDS,
        "in_a_row_seconds": statistics.median(in_row),
        "together_seconds": statistics.median(at_once),
        "ratio": statistics.median(at_once) / statistics.median(in_row),
        "different": different,
    }


class _Bar:
    """Progress in seconds."""

    def __init__(self, seconds: float) -> None:
        self.bar = tqdm(total=round(seconds), unit="s", bar_format="{l_bar}{bar}| {n:.0f}/{total} s")

    async def during(self, work: Coroutine[Any, Any, T], seconds: float) -> T:
        """Go on once per second while there is work, which should take that long."""
        task = asyncio.ensure_future(work)
        for _ in range(round(seconds)):
            await asyncio.wait({task}, timeout=1.0)
            self.bar.update(1)
        return await task


async def measure(load: Load, url: str) -> tuple[Figures, list[Reply], list[Reply]]:
    """All figures, and the replies under overload: to plans and of ``/livez``.

    Raises:
        RuntimeError: the server has no planner, or makes no plan.
    """
    client = LoadClient(url)
    requests = Requests(client, url, load)
    idle_seconds, spare_seconds = 3.0, 12.0
    measured = ("plans", "actions") if requests.pusher else ("plans",)
    closed = (1 + len(measured) * len(CLIENTS)) * load.capacity_seconds
    bar = _Bar(closed + idle_seconds + spare_seconds + load.seconds)
    idle = await bar.during(poll(client, LIVE_PATH, POLL_SECONDS, idle_seconds), idle_seconds)
    plans = await _rates(client, requests.plan, load, bar)
    actions = await _rates(client, requests.action, load, bar) if requests.pusher else []
    together = await bar.during(_together(client, requests), spare_seconds)
    best = max(plans, key=lambda row: row["per_second"])
    before = best["per_second"]
    if not before:
        raise Failure(f"{url} does not plan; its log may say why")
    times = poisson(load.factor * before, load.seconds, np.random.default_rng(load.seed))
    prepared = [requests.plan(number, deadline_ms=load.deadline_ms) for number in range(len(times))]
    storm = asyncio.gather(
        open_loop(client, prepared.__getitem__, times),
        poll(client, LIVE_PATH, POLL_SECONDS, load.seconds),
    )
    replies, health = await bar.during(_awaited(storm), load.seconds)
    # Other work on the machine comes and goes: what it could do meanwhile lies between before and after.
    again = closed_loop(client, requests.plan, best["clients"], load.capacity_seconds)
    after = throughput(best["clients"], *await bar.during(again, load.capacity_seconds))["per_second"]
    bar.bar.close()
    capacity = (before + after) / 2
    figures: Figures = {
        "livez_idle": throughput(1, idle, idle_seconds),
        "plans": plans,
        "actions": actions,
        "together": together,
        "capacity_per_second": {"before": before, "after": after, "mean": capacity},
        "overload": overload(replies, health, load.seconds, load.deadline_ms / 1000, capacity),
    }
    return figures, replies, health


async def _awaited(future: "asyncio.Future[T]") -> T:
    return await future


def run(load: Load, url: str) -> Figures:
    """Measure, write figures and picture."""
    figures, replies, health = asyncio.run(measure(load, url))
    machine = {
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{package: version(package) for package in PACKAGES},
    }
    protocol = {
        "factor": load.factor,
        "seconds": load.seconds,
        "capacity_seconds": load.capacity_seconds,
        "deadline_ms": load.deadline_ms,
        "scenes": load.scenes,
        "seed": load.seed,
        "own_server": load.url is None,
    }
    result: Figures = {"machine": machine, "protocol": protocol, **figures}
    result["bounds"] = bounds(result)
    written = write_results(load.out, "server.load", result, markdown(result))
    picture(replies, health, load.deadline_ms / 1000, load.out.with_suffix(".png"))
    return written


@command(expected=(ServerProblem, httpx2.HTTPError))
def main() -> None:
    """Command line entry point."""
    load = tyro.cli(Load, prog="python -m server.load", description=__doc__)
    if min(load.seconds, load.factor, load.capacity_seconds, load.deadline_ms, load.scenes) <= 0:
        raise ValueError(
            "--seconds, --factor, --capacity-seconds, --deadline-ms and --scenes must be above 0"
        )
    server: AbstractContextManager[str] = (
        running_server(MODELS, threads=1) if load.url is None else nullcontext(load.url)
    )
    check_outputs("--out", load.out, load.out.with_suffix(".png"))
    with server as url:
        result = run(load, url)
    print(result["table"])
    print(f"\nwritten: {load.out}, {load.out.with_suffix('.png')}")
    if broken := [name for name, row in result["bounds"].items() if not row["kept"]]:
        print(f"not kept: {'; '.join(broken)}", file=sys.stderr)
        raise SystemExit(1)


if __name__ == "__main__":
    main()
