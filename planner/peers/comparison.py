"""Everybody solves the same problems in turn, in one thread: what it takes, and what comes of it.

Times are CPU times of a search, encoding of the pictures included, medians over scenes; solvers take turns,
so that whatever else the machine does counts for all alike. What an answer is worth is measured alike for
all: by the last picture that it decodes into.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from planner.peers.problem import Problems
from planner.peers.solvers import OURS, PLAIN, Budget, Solver, Task, others
from world_models.jobs.threads import one_thread

Way = Literal["pictures", "reader", "best"]
WAYS: dict[Way, str] = {
    "pictures": "all score candidates by decoded pictures",
    "reader": "all score candidates by the reader",
    "best": "ours with the reader and a shortlist checked by pictures, others by pictures",
}
ELITES = 0.05
WHOLE = "ours, whole plan"
Row = dict[str, Any]


@dataclass(frozen=True)
class Size:
    """How large a search is, and in how many scenes it is timed."""

    candidates: int
    length: int
    iterations: int
    scenes: int

    @property
    def name(self) -> str:
        """As it is written in tables."""
        return f"{self.candidates} x {self.length} x {self.iterations}"

    @property
    def budget(self) -> Budget:
        """What the solvers are told."""
        return Budget(self.candidates, self.iterations, max(2, round(ELITES * self.candidates)))


DEFAULT = Size(200, 6, 3, 10)
SIZES = (DEFAULT, Size(300, 5, 30, 3))
"""The planner's own, and that of other planners' papers."""
ITERATIONS = (1, 2, 3, 5, 8, 13)
CANDIDATES, LENGTHS, BATCHES = (50, 100, 200, 400, 800), (1, 2, 3, 4, 5, 6), (1, 2, 4, 8)
GROWN = 5
"""Scenes for each size on the way."""


@torch.inference_mode()
def compare(problems: Problems) -> Row:
    """Rows of all solvers that are installed; the problems are :data:`DEFAULT`'s scenes or more.

    Raises:
        ValueError: the model does not plan as few and as many keyframes as :data:`LENGTHS`.
    """
    for length in LENGTHS:
        problems.planner.check_keyframes(length)
    found, missing = others()
    with one_thread(), tqdm(total=len(SIZES) * len(WAYS) + len(ITERATIONS) + 3, unit="part") as bar:
        rows: list[Row] = []
        for size in SIZES:
            for way in WAYS:
                bar.set_description(f"{size.name}, {way}")
                rows += _rows(problems, size, way, found)
                bar.update()
        curves: list[Row] = []
        for iterations in ITERATIONS:
            bar.set_description(f"{iterations} iterations")
            size = Size(DEFAULT.candidates, DEFAULT.length, iterations, GROWN)
            curves += [{"iterations": iterations, **row} for row in _rows(problems, size, "best", found)]
            bar.update()
        growth: dict[str, list[Row]] = {}
        for name, sizes in _growing().items():
            bar.set_description(f"growth over {name}")
            growth[name] = [row for value, one in sizes for row in _growth(problems, name, value, one, found)]
            bar.update()
    return {
        "ways": WAYS,
        "missing": missing,
        "rows": rows,
        "curves": curves,
        "to_our_cost": _to_our_cost(rows, curves),
        "growth": growth,
    }


def _rows(problems: Problems, size: Size, way: Way, found: Sequence[Solver]) -> list[Row]:
    """What every solver needs and finds; ours first, with which the others are compared."""
    arms = _arms(size, way, found)
    spent: dict[str, list[float]] = {name: [] for name in arms}
    worth: dict[str, list[float]] = {name: [] for name in arms}
    for scene in range(-1, size.scenes):  # the first round, which warms up, is not measured
        problem = problems.row(max(scene, 0))
        for name, solve in arms.items():
            begun = time.process_time()
            decisions = solve(problem, scene + 1)
            took = 1e3 * (time.process_time() - begun)
            if scene >= 0:
                spent[name].append(took)
                worth[name].append(float(problem.true_cost(decisions)))
    first = float(np.median(spent[next(iter(arms))]))
    return [
        {
            "size": size.name,
            "way": way,
            "solver": name,
            "scenes": size.scenes,
            "ms": (ms := float(np.median(spent[name]))),
            "times_ours": ms / first,
            "pixels_mean": float(np.mean(worth[name])),
            "pixels_p90": float(np.percentile(worth[name], 90)),
        }
        for name in arms
    ]


Arm = Callable[[Problems, int], Float[Tensor, "B L D"]]


def _arms(size: Size, way: Way, found: Sequence[Solver]) -> dict[str, Arm]:
    def arm(solver: Solver, by_reader: bool) -> Arm:
        return lambda problems, seed: _solve(solver, problems, size, by_reader, seed)

    rest = {one.name: arm(one, way == "reader") for one in (PLAIN, *found)}
    if way == "best":
        return {WHOLE: lambda problems, seed: _plan(problems, size, seed), **rest}
    return {OURS.name: arm(OURS, way == "reader"), **rest}


def _solve(
    solver: Solver, problems: Problems, size: Size, by_reader: bool, seed: int
) -> Float[Tensor, "B L D"]:
    """All problems at once, or one after the other if the solver knows no better."""
    if len(problems) > 1 and not solver.batched:
        rows = range(len(problems))
        return torch.cat([_solve(solver, problems.row(b), size, by_reader, seed + b) for b in rows])
    score = problems.score(problems.by_reader if by_reader else problems.by_pictures)
    dim = problems.planner.model.decision_dim
    return solver.solve(Task(score, len(problems), size.length, dim, size.budget, seed))


def _plan(problems: Problems, size: Size, seed: int) -> Float[Tensor, "B L D"]:
    """The planner as it is used."""
    generators = [torch.Generator().manual_seed(seed + row) for row in range(len(problems))]
    plan = problems.planner.plan(
        problems.context,
        problems.goal,
        generators,
        candidates=size.candidates,
        iterations=size.iterations,
        keyframes=size.length,
    )
    return plan.decisions


def _growing() -> dict[str, list[tuple[int, Size]]]:
    """Sizes by what grows; in the last case it is the number of problems."""
    base = DEFAULT
    return {
        "candidates": [(n, Size(n, base.length, base.iterations, GROWN)) for n in CANDIDATES],
        "length": [(n, Size(base.candidates, n, base.iterations, GROWN)) for n in LENGTHS],
        "batch": [(n, Size(base.candidates, base.length, base.iterations, GROWN)) for n in BATCHES],
    }


def _growth(problems: Problems, name: str, value: int, size: Size, found: Sequence[Solver]) -> list[Row]:
    """Times with the reader's costs, that of our whole plan among them."""
    many = problems.rows(slice(0, value if name == "batch" else 1))
    arms: dict[str, Arm] = {WHOLE: lambda given, seed: _plan(given, size, seed)}
    arms |= _arms(size, "reader", found)
    spent: dict[str, list[float]] = {solver: [] for solver in arms}
    for seed in range(size.scenes + 1):
        for solver, solve in arms.items():
            begun = time.process_time()
            solve(many, seed)
            spent[solver].append(1e3 * (time.process_time() - begun))
    return [{name: value, "solver": solver, "ms": float(np.median(ms[1:]))} for solver, ms in spent.items()]


def _to_our_cost(rows: Sequence[Row], curves: Sequence[Row]) -> list[Row]:
    """How long the others take until their answers are as good as our plan of the default size."""
    ours = next(row for row in rows if row["size"] == DEFAULT.name and row["solver"] == WHOLE)
    solvers = dict.fromkeys(row["solver"] for row in curves if row["solver"] != WHOLE)
    found = []
    for solver in solvers:
        enough = [
            row["ms"]
            for row in curves
            if row["solver"] == solver and row["pixels_mean"] <= ours["pixels_mean"]
        ]
        ms = min(enough, default=None)
        found.append({"solver": solver, "ms": ms, "times_ours": None if ms is None else ms / ours["ms"]})
    return found


def markdown(result: Row) -> str:
    """The rows as Markdown tables."""
    lines = [
        "| search | scored by | solver | CPU ms | times ours | last picture from the goal, px, mean / p90 |",
        "|---|---|---|---|---|---|",
        *(
            f"| {row['size']} | {row['way']} | {row['solver']} | {row['ms']:.1f} | {row['times_ours']:.2f} "
            f"| {row['pixels_mean']:.2f} / {row['pixels_p90']:.2f} |"
            for row in result["rows"]
        ),
        "",
        "| solver, scored by pictures | CPU ms until as good as our plan | times ours |",
        "|---|---|---|",
    ]
    for row in result["to_our_cost"]:
        known = row["ms"] is not None
        text = (
            f"{row['ms']:.0f} | {row['times_ours']:.1f}"
            if known
            else f"not in {ITERATIONS[-1]} iterations | -"
        )
        lines.append(f"| {row['solver']} | {text} |")
    if result["missing"]:
        lines += ["", f"Not installed, and not measured: {', '.join(result['missing'])}."]
    return "\n".join(lines)
