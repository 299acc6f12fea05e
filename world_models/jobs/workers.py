"""Work in several processes, which end with the one that has started them, however that one ends."""

import math
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from functools import cache
from multiprocessing import resource_tracker
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from world_models.jobs.cluster import run_there

PARENT = "WAYMARK_WORKER_OF"
"""Environment variable by which a process knows that it is to end with its parent: that one's number."""
WATCH_SECONDS = 0.2
Job = tuple[Any, ...]
Result = TypeVar("Result")


def cores(control_groups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int:
    """Cores this process may use: those it is bound to, and no more than its control groups (v2) grant."""
    bound = float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    return max(1, math.ceil(min([bound, *_quotas(control_groups, own)])))


def _quotas(control_groups: Path, own: Path) -> Iterator[float]:
    """Cores granted to the group of this process and to those that it is in."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return  # no Linux
    group = next((PurePosixPath(line[3:].lstrip("/")) for line in lines if line.startswith("0::")), None)
    if group is None:
        return
    for folder in (group, *group.parents):
        try:
            quota, period = (control_groups / folder / "cpu.max").read_text().split()
        except (OSError, ValueError):
            continue  # the outermost group has no such file
        if quota != "max":
            yield int(quota) / int(period)


def run_jobs(
    work: Callable[..., Result],
    jobs: Sequence[Job],
    receive: Callable[[Job, Result], None],
    *,
    workers: int,
    start: Callable[..., None] | None = None,
    arguments: Sequence[Any] = (),
    ray: str | None = None,
    device: str = "cpu",
) -> None:
    """Do ``work(*job)`` for every job in worker processes; ``receive`` gets each job with its result here.

    Results come in the order in which they are finished. Each process first calls ``start(*arguments)``. When
    a job fails, or this process is interrupted, the workers are killed at once and what was raised goes on;
    Ctrl-C reaches this process alone.

    With ``ray``, the address of a cluster, the processes are its own, one for each core, or GPU where jobs
    need a ``device`` of that kind: see :func:`world_models.jobs.cluster.run_there`. Files that jobs read and
    write have to be in folders that all its machines share.
    """
    if not jobs:
        return
    if ray is not None:
        run_there(ray, work, jobs, receive, start, arguments, device)
        return
    context = multiprocessing.get_context("spawn")
    known = set(multiprocessing.active_children())
    begin = (start, tuple(arguments))
    with ProcessPoolExecutor(min(workers, len(jobs)), context, _begin, begin) as pool:
        with _children_follow(), _children_deaf():
            submitted = {pool.submit(work, *job): job for job in jobs}
        try:
            for future in as_completed(submitted):
                receive(submitted[future], future.result())
        except BaseException:
            for process in set(multiprocessing.active_children()) - known:
                process.kill()
            pool.shutdown(cancel_futures=True)
            raise


@cache
def follow_parent() -> None:
    """End this process soon after its parent, if that one has asked for it by :func:`worker_environment`.

    Packages call it before all other imports, which take seconds in which a parent may end.
    """
    parent = os.getppid()
    if os.environ.get(PARENT) == str(parent):
        threading.Thread(target=_watch, args=(parent,), name="follow-parent", daemon=True).start()


def worker_environment() -> dict[str, str]:
    """The environment for a Python process that imports this package and is to end with this one."""
    return {**os.environ, PARENT: str(os.getpid())}


def _begin(start: Callable[..., None] | None, arguments: Sequence[Any]) -> None:
    threading.Thread(target=_wait_for_parent, name="wait-for-parent", daemon=True).start()
    if start is not None:
        start(*arguments)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(WATCH_SECONDS)
    os._exit(1)


def _wait_for_parent() -> None:
    """For a parent that ended before :func:`follow_parent` was called."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


@contextmanager
def _children_follow() -> Iterator[None]:
    """Processes started inside end with this one."""
    before: Mapping[str, str] = dict(os.environ)
    os.environ.update(worker_environment())
    try:
        yield
    finally:
        if PARENT in before:
            os.environ[PARENT] = before[PARENT]
        else:
            del os.environ[PARENT]


@contextmanager
def _children_deaf() -> Iterator[None]:
    """Processes started inside never see Ctrl-C: they would print where they were. It waits meanwhile."""
    resource_tracker.ensure_running()  # it would undo the mask when it starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
