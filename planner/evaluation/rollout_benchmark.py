"""How fast a Struct-VRNN follows candidate actions in keypoint space; a part of :mod:`planner.benchmark`.

Times are CPU times of one thread, the best of several rounds: what else the machine does counts little. The
matrix product they are compared with is measured in the same rounds, in the same number format.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from world_models.jobs.threads import one_thread
from world_models.precision import autocast
from world_models.struct_vrnn.dynamics import KeypointDynamics
from world_models.struct_vrnn.model import State, StructVRNN
from world_models.struct_vrnn.presets import STRUCT_VRNN_PRESETS
from world_models.training.run import Session

PRESET = "struct-vrnn-dmc"
CANDIDATES = (50, 100, 200, 400, 800, 1600, 3200)
STEPS, REFITS = 8, 3
SATURATED = 400
"""Candidates from which on the matrix products are large enough to be as fast as they get."""
SIDE = 1024
"""Rows and columns of the matrices whose product is the peak."""
ROUNDS = 5
CPU = torch.device("cpu")


def rollouts() -> dict[str, Any]:
    """One row per number of candidates, each rolled out for 8 steps, three times over as CEM does.

    The model has the sizes of the shipped one; speed does not depend on the weights.
    """
    with Session(Path(), 0, CPU).initial_weights():
        model = StructVRNN(STRUCT_VRNN_PRESETS[PRESET][2].model).eval().requires_grad_(False)
    rng = torch.Generator().manual_seed(0)
    work = {count: _search(model, count, rng) for count in CANDIDATES}
    with one_thread(), torch.inference_mode():
        with autocast(CPU):
            precision = (torch.ones(1, 1) @ torch.ones(1, 1)).dtype
        factors = torch.randn(2, SIDE, SIDE, generator=rng).to(precision)
        peak, best = _fastest(lambda: factors[0] @ factors[1], work)
    gflops = 2 * SIDE**3 / (1e6 * peak)
    flops = flops_per_candidate(model.dynamics)
    rows = [
        {
            "candidates": count,
            "ms": ms,
            "gflops": (reached := REFITS * count * flops / (1e6 * ms)),
            "share_of_matmul": reached / gflops,
        }
        for count, ms in best.items()
    ]
    return {
        "precision": str(precision).removeprefix("torch."),
        "steps": STEPS,
        "refits": REFITS,
        "matmul_gflops": gflops,
        "flops_per_candidate": flops,
        **linearity([(count, ms) for count, ms in best.items() if count >= SATURATED]),
        "rows": rows,
    }


def flops_per_candidate(dynamics: KeypointDynamics) -> int:
    """Multiplications and additions in the matrix products of one roll-out.

    Neither the prior's spread nor the recurrence after the last frame is needed, or computed.
    """
    spread = dynamics.config.prior_width * dynamics.config.latent
    each = _weights(dynamics.prior_head) - spread + _weights(dynamics.decoder)
    return 2 * (STEPS * each + (STEPS - 1) * _weights(dynamics.gru))


def _weights(part: nn.Module) -> int:
    return sum(parameter.numel() for parameter in part.parameters() if parameter.ndim == 2)


def linearity(times: list[tuple[int, float]]) -> dict[str, float]:
    """How well a straight line explains times: its R^2, and the power of the count that they grow with."""
    counts, ms = np.array(times, dtype=np.float64).T
    slope, start = np.polyfit(counts, ms, 1)
    left = ms - (slope * counts + start)
    exponent = np.polyfit(np.log(counts), np.log(ms), 1)[0]
    return {
        "linear_r2": float(1.0 - left @ left / ((ms - ms.mean()) @ (ms - ms.mean()))),
        "growth_exponent": float(exponent),
    }


def _search(model: StructVRNN, count: int, rng: torch.Generator) -> Callable[[], object]:
    """The roll-outs of one search, from the state that all candidates share."""
    config = model.config
    seen = torch.rand(1, STEPS, config.features, generator=rng)
    past, *refits = (
        2.0 * torch.rand(rows, STEPS, config.actions, generator=rng) - 1.0
        for rows in (1, *(count for _ in range(REFITS)))
    )
    with torch.inference_mode():
        state: State = model.take_in(seen, past[:, 1:]).repeat(count)

    def roll_out() -> None:
        with autocast(CPU):
            for actions in refits:
                model.imagine(state, actions)

    return roll_out


def _fastest(
    product: Callable[[], Tensor], work: dict[int, Callable[[], object]]
) -> tuple[float, dict[int, float]]:
    """Least CPU milliseconds of the product and of each piece of work; one round is not measured."""
    times = [[_cpu_ms(product), *(_cpu_ms(piece) for piece in work.values())] for _ in range(ROUNDS + 1)]
    peak, *best = np.min(times[1:], axis=0).tolist()
    return peak, dict(zip(work, best, strict=True))


def _cpu_ms(work: Callable[[], object]) -> float:
    begun = time.thread_time()
    work()
    return 1e3 * (time.thread_time() - begun)


def markdown(result: dict[str, Any]) -> str:
    """The rows as a Markdown table."""
    lines = [
        f"| candidates x {result['steps']} steps x {result['refits']} refits, {result['precision']} | ms "
        f"| GFLOP/s | share of matrix product ({result['matmul_gflops']:.0f} GFLOP/s) |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {row['candidates']} | {row['ms']:.1f} | {row['gflops']:.1f} | {row['share_of_matmul']:.2f} |"
        for row in result["rows"]
    ]
    straight = f"R^2 {result['linear_r2']:.4f}, power {result['growth_exponent']:.2f}"
    return "\n".join([*lines, f"| {SATURATED} and more: straight line | {straight} | | |"])
