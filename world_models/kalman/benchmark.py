"""How fast the batched filter is: ``python -m world_models.kalman.benchmark --out kalman-bench.json``.

Both it and a Python loop over filterpy, which the development packages bring, filter the same sequences in
double precision on one thread; only the batched filter also computes the likelihoods. Times are CPU times,
the best of several rounds that take turns: what else the machine does counts little.
"""

import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from numpy.typing import NDArray
from torch import Tensor

from world_models.files import write_bytes
from world_models.jobs.command import Failure, command
from world_models.jobs.outputs import check_outputs
from world_models.jobs.threads import one_thread
from world_models.kalman.lgssm.filter import LGSSM, kalman_filter, newtonian, simulate
from world_models.kalman.lgssm.mixture import draw

MISSING = 0.2
"""Share of the observations that are missing where some are."""


@dataclass(frozen=True)
class Benchmark:
    """What to measure."""

    batch: int = 512
    steps: int = 30
    rounds: int = 5
    out: Path = Path("kalman-bench.json")


def cannonball() -> LGSSM:
    """A point with gravity whose noisy positions are seen; it starts from one Gaussian, as filterpy's do."""
    period, one = 0.015, torch.eye(4, dtype=torch.float64)
    transition, emission = newtonian(torch.tensor(period, dtype=torch.float64), 2)
    return LGSSM(
        transition=transition,
        force=-9.81 * (0.5 * period**2 * one[1] + period * one[3]),
        process_noise=1e-4 * one,
        emission=emission,
        observation_noise=1e-3 * one[:2, :2],
        start_logits=one.new_zeros(1),
        start_means=one.new_zeros(1, 4),
        start_covariances=one[None],
    )


def looped(
    model: LGSSM, observations: Tensor, observed: Tensor
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Filtered means ``[B T X]`` and covariances ``[B T X X]`` by filterpy, one sequence after the other."""
    from filterpy.kalman import KalmanFilter  # only the development packages bring it

    numbers = {name: tensor.numpy() for name, tensor in vars(model).items()}
    v, x = numbers["emission"].shape
    runs = []
    for row, seen in zip(observations.numpy(), observed.tolist(), strict=True):
        one = KalmanFilter(dim_x=x, dim_z=v)
        one.x, one.P = numbers["start_means"][0], numbers["start_covariances"][0]
        one.F, one.H, one.B = numbers["transition"], numbers["emission"], np.eye(x)
        one.Q, one.R = numbers["process_noise"], numbers["observation_noise"]
        for step, value in enumerate(row):
            if step:
                one.predict(u=numbers["force"])
            one.update(value if seen[step] else None)
            runs.append((one.x, one.P))
    means, covariances = (np.stack(part) for part in zip(*runs, strict=True))
    shape = tuple(observations.shape[:2])
    return means.reshape(*shape, x), covariances.reshape(*shape, x, x)


def benchmark(settings: Benchmark) -> dict[str, Any]:
    """Filter all sequences both ways, with no observation missing and with some, and write the figures.

    Raises:
        RuntimeError: if the two ways differ.
    """
    model, rng = cannonball(), torch.Generator().manual_seed(0)
    first = draw(model.start(settings.batch), rng)
    _, observations = simulate(model, first, settings.steps, rng)
    some = torch.rand(settings.batch, settings.steps, generator=rng) >= MISSING
    result: dict[str, Any] = {
        "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "torch": torch.__version__},
        "batch": settings.batch,
        "steps": settings.steps,
        "rounds": settings.rounds,
        "all_observed": compare(model, observations, None, settings.rounds),
        "some_missing": compare(model, observations, some, settings.rounds),
    }
    write_bytes(settings.out, (json.dumps(result, indent=2) + "\n").encode())
    return result


def compare(model: LGSSM, observations: Tensor, observed: Tensor | None, rounds: int) -> dict[str, float]:
    """CPU milliseconds of both ways, their ratio, and the largest difference of their answers."""
    seen = observations.new_ones(observations.shape[:2], dtype=torch.bool) if observed is None else observed
    with one_thread(), torch.inference_mode():
        moments = kalman_filter(model, observations, observed).filtered.moments()
        pairs = zip(moments, looped(model, observations, seen), strict=True)
        difference = max(float(np.abs(own.numpy() - other).max()) for own, other in pairs)
        if not difference < 1e-9:
            raise Failure(f"the batched filter and filterpy differ by {difference:.3g}")
        own, other = [], []
        for _ in range(rounds):
            own.append(_cpu_ms(lambda: kalman_filter(model, observations, observed)))
            other.append(_cpu_ms(lambda: looped(model, observations, seen)))
    return {
        "batched_ms": min(own),
        "filterpy_ms": min(other),
        "ratio": min(other) / min(own),
        "largest_difference": difference,
    }


def _cpu_ms(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return 1e3 * (time.process_time() - begun)


@command()
def main() -> None:
    """Command line entry point."""
    settings = tyro.cli(Benchmark, prog="python -m world_models.kalman.benchmark", description=__doc__)
    if min(settings.batch, settings.steps, settings.rounds) < 1:
        raise ValueError("--batch, --steps and --rounds must be at least 1")
    check_outputs("--out", settings.out)
    try:
        result = benchmark(settings)
    except ImportError as error:
        raise Failure(f"{error}; make setup brings filterpy, or pip install filterpy") from error
    print("| observations | batched filter, ms | loop over filterpy, ms | ratio |\n|---|---|---|---|")
    for name in ("all_observed", "some_missing"):
        row, label = result[name], name.replace("_", " ")
        print(f"| {label} | {row['batched_ms']:.2f} | {row['filterpy_ms']:.0f} | {row['ratio']:.0f} |")
    print(f"\nwritten: {settings.out}")


if __name__ == "__main__":
    main()
