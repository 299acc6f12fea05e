"""The same jobs on the machines of a Ray cluster, which does those of a lost machine again."""

import os
import signal
import socket
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import as_completed
from typing import Annotated, Any

from tyro.constructors import PrimitiveConstructorSpec

from world_models.jobs.command import Failure

AT_HAND = "at hand"
"""The cluster that ``RAY_ADDRESS`` names or that runs on this machine, else one for the time being."""

RayAddress = Annotated[
    str | None,
    PrimitiveConstructorSpec(
        nargs=(0, 1),
        metavar="[ADDRESS]",
        instance_from_str=lambda words: words[0] if words else AT_HAND,
        is_instance=lambda value: value is None or isinstance(value, str),
        str_from_instance=lambda value: [] if value is None else [value],
    ),
]
"""The option ``--ray [ADDRESS]``; None where it was not given."""

_ANSWER_SECONDS = 10.0
_ready = ""
"""Whose jobs this process has been made ready for."""


def connect(address: str) -> Any:
    """The module ``ray``, connected to a cluster: at most once in a process, until that ends.

    Raises:
        Failure: Ray is not installed, or there is no cluster at the address.
    """
    try:
        import ray
    except ImportError as error:
        raise Failure("--ray needs Ray: pip install 'waymark[ray]'") from error
    if ray.is_initialized():
        return ray
    on_sigterm = signal.getsignal(signal.SIGTERM)
    try:
        _check_answers(address)
        ray.init(None if address == AT_HAND else address, include_dashboard=False)
    except (OSError, OverflowError, ValueError, RuntimeError) as error:
        raise Failure(f"there is no Ray cluster to be used at {address!r}: {error}") from error
    finally:
        signal.signal(signal.SIGTERM, on_sigterm)  # Ray has one of its own
    return ray


def _check_answers(address: str) -> None:
    """Raise at once what Ray says after minutes of asking again: that nobody listens there."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon:
        socket.create_connection((host.strip("[]"), int(port)), _ANSWER_SECONDS).close()


def run_there(
    address: str,
    work: Callable[..., Any],
    jobs: Sequence[tuple[Any, ...]],
    receive: Callable[[tuple[Any, ...], Any], None],
    start: Callable[..., None] | None,
    arguments: Sequence[Any],
    device: str,
) -> None:
    """What :func:`world_models.jobs.workers.run_jobs` does, in processes of a cluster: one for each of its
    cores, or of its GPUs where the ``device`` is one.

    Raises:
        Failure: as :func:`connect`; a machine does not share the current folder; or a job was lost with its
            process again and again.
    """
    ray = connect(address)
    gpus = int(device.startswith("cuda"))
    task = ray.remote(num_cpus=1, num_gpus=gpus)(_do)
    begin = ray.put((uuid.uuid4().hex, os.getcwd(), start, tuple(arguments), work))
    sent = [task.remote(begin, job) for job in jobs]
    submitted = {reference.future(): job for reference, job in zip(sent, jobs, strict=True)}
    try:
        for future in as_completed(submitted):
            receive(submitted[future], future.result())
    except ray.exceptions.RayTaskError as error:
        _cancel(ray, sent)
        raise error.cause from None
    except ray.exceptions.RayError as error:
        _cancel(ray, sent)
        raise Failure(f"Ray has lost a job for good: {error}") from error
    except BaseException:
        _cancel(ray, sent)
        raise


def _cancel(ray: Any, sent: Sequence[Any]) -> None:
    for reference in sent:
        ray.cancel(reference, force=True)


def _do(begin: tuple[Any, ...], job: tuple[Any, ...]) -> Any:
    """Do a job in this process, which is made ready if it has not been."""
    global _ready
    run, folder, start, arguments, work = begin
    if _ready != run:
        try:
            os.chdir(folder)
        except OSError as error:
            raise Failure(
                f"{folder} is not on {socket.gethostname()}: start the command in a folder that all machines "
                "of the cluster share"
            ) from error
        if start is not None:
            start(*arguments)
        _ready = run
    return work(*job)
