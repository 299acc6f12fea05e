"""Searches behind one signature: ours, a plain loop, and those of other libraries where they are installed.

Every one minimises the same score from N(0, 1) with the same candidates, iterations and elites. Packages are
imported when a solver is made; nobody needs them otherwise (extra ``peers``).
"""

import contextlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from planner.peers.problem import Score
from planner.search.cem import CemConfig, cem

MPPI_TEMPERATURE = 0.01
"""Pixels. In twelve other scenes the answers at 0.003, 0.01, 0.03, 0.1 and 0.3 were 0.46, 0.45, 0.63, 2.25
and 1.50 pixels off on the mean, scored by pictures in a search of the default size."""
BAD = 1e6
"""Where an infinite cost would make weights that are no numbers."""


@dataclass(frozen=True)
class Budget:
    """What a search may spend: candidates per iteration, of which ``elites`` are fitted to."""

    candidates: int
    iterations: int
    elites: int


@dataclass(frozen=True)
class Task:
    """B sequences of L decisions are looked for, [D] each; ``seed`` is that of the noise."""

    score: Score
    batch: int
    length: int
    dim: int
    budget: Budget
    seed: int


Solve = Callable[[Task], Float[Tensor, "B L D"]]
"""Finds the decisions that it takes for the cheapest."""


@dataclass(frozen=True)
class Solver:
    """A search; ``batched`` if it solves several problems at once."""

    name: str
    solve: Solve
    batched: bool = True


def ours(task: Task) -> Float[Tensor, "B L D"]:
    """The planner's cross-entropy method alone: the cheapest sequence that it has seen."""
    mean = torch.zeros(task.batch, task.length, task.dim)
    budget = task.budget
    config = CemConfig(
        candidates=budget.candidates,
        iterations=budget.iterations,
        elite_fraction=budget.elites / budget.candidates,
    )
    generators = [torch.Generator().manual_seed(task.seed + row) for row in range(task.batch)]
    *_, last = cem(task.score, mean, torch.ones_like(mean), config, generators)
    return last.best


def plain(task: Task) -> Float[Tensor, "B L D"]:
    """The method in a dozen lines, as one would write it: the mean of the last elites."""
    budget = task.budget
    generator = torch.Generator().manual_seed(task.seed)
    mean, std = torch.zeros(task.batch, 1, task.length, task.dim), torch.ones(())
    rows = torch.arange(task.batch)[:, None]
    for _ in range(budget.iterations):
        noise = torch.randn(task.batch, budget.candidates, task.length, task.dim, generator=generator)
        drawn = mean + std * noise
        best = task.score(drawn).topk(budget.elites, largest=False).indices
        elites = drawn[rows, best]
        mean, std = elites.mean(1, keepdim=True), elites.std(1, keepdim=True)
    return mean[:, 0]


def stable_worldmodel() -> Solve:
    """``CEMSolver`` of stable-worldmodel. Raises ImportError if it is not there."""
    solver = import_module("stable_worldmodel.solver")
    spaces = import_module("gymnasium.spaces")

    def solve(task: Task) -> Float[Tensor, "B L D"]:
        costable = SimpleNamespace(get_cost=lambda info, candidates: task.score(candidates))
        found = solver.CEMSolver(
            costable,
            batch_size=task.batch,
            num_samples=task.budget.candidates,
            n_steps=task.budget.iterations,
            topk=task.budget.elites,
            seed=task.seed,
        )
        found.configure(
            action_space=spaces.Box(-np.inf, np.inf, (task.batch, task.dim)),
            n_envs=task.batch,
            config=SimpleNamespace(horizon=task.length, action_block=1),
        )
        with contextlib.redirect_stdout(io.StringIO()):  # it prints how long it took
            return found.solve({"row": torch.arange(task.batch)})["actions"]

    return solve


def torchrl() -> Solve:
    """``CEMPlanner`` of torchrl, over an environment whose one action is the whole sequence, since of longer
    ones it returns the first action only. Raises ImportError if it is not there.
    """
    package = import_module("torchrl.modules")
    tensordict = import_module("tensordict")

    def solve(task: Task) -> Float[Tensor, "B L D"]:
        planner = package.CEMPlanner(
            _whole_sequence_env(task),
            planning_horizon=1,
            optim_steps=task.budget.iterations,
            num_candidates=task.budget.candidates,
            top_k=task.budget.elites,
        )
        given = tensordict.TensorDict({"row": torch.zeros(task.batch, 1)}, batch_size=[task.batch])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(task.seed)  # noqa: TID251 - it draws from no other generator
            return planner.planning(given).view(task.batch, task.length, task.dim)

    return solve


def _whole_sequence_env(task: Task) -> Any:
    envs, data = import_module("torchrl.envs"), import_module("torchrl.data")
    tensordict = import_module("tensordict")

    class WholeSequence(envs.ModelBasedEnvBase):  # type: ignore[name-defined]
        """One step: the reward of a sequence is minus its cost."""

        def __init__(self) -> None:
            super().__init__(world_model=torch.nn.Identity(), batch_size=torch.Size([]))
            self.observation_spec = data.Composite(row=data.Unbounded((1,)))
            self.action_spec = data.Unbounded((task.length * task.dim,))
            self.reward_spec = data.Unbounded((1,))

        def _reset(self, given: Any, **_: Any) -> Any:
            return given

        def _step(self, given: Any) -> Any:
            sequences = given["action"].view(*given.batch_size, task.length, task.dim)
            reward = -task.score(sequences)[..., None]
            done = torch.zeros_like(reward, dtype=torch.bool)
            values = {"row": given["row"], "reward": reward, "done": done, "terminated": done}
            return tensordict.TensorDict(values, batch_size=given.batch_size)

    return WholeSequence()


def pytorch_mppi() -> Solve:
    """``MPPI`` of pytorch-mppi, refined as often as there are iterations. Raises ImportError if it is not
    there.
    """
    package = import_module("pytorch_mppi")

    def solve(task: Task) -> Float[Tensor, "B L D"]:
        def cost(_: Tensor, sequences: Float[Tensor, "1 N L D"]) -> Float[Tensor, "1 N"]:
            costs = task.score(sequences)
            return torch.where(costs.isfinite(), costs, BAD)

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(task.seed)  # noqa: TID251 - it draws from no other generator
            controller = package.MPPI(
                lambda state, action: state,
                lambda state, action: state[:, 0],
                nx=1,
                noise_sigma=torch.eye(task.dim),
                num_samples=task.budget.candidates,
                horizon=task.length,
                terminal_state_cost=cost,
                lambda_=MPPI_TEMPERATURE,
                U_init=torch.zeros(task.length, task.dim),
            )
            for _ in range(task.budget.iterations):
                controller.command(torch.zeros(1), shift_nominal_trajectory=False)
        sequence: Tensor = controller.U
        return sequence[None]

    return solve


OURS = Solver("ours", ours)
PLAIN = Solver("plain loop", plain)
OTHERS: dict[str, tuple[Callable[[], Solve], bool]] = {
    "stable-worldmodel CEMSolver": (stable_worldmodel, True),
    "torchrl CEMPlanner": (torchrl, True),
    "pytorch-mppi MPPI": (pytorch_mppi, False),
}
"""How other libraries' are made, and whether they solve several problems at once."""


def others() -> tuple[list[Solver], list[str]]:
    """The solvers of packages that are installed, and the names of those that are not."""
    found, missing = [], []
    for name, (make, batched) in OTHERS.items():
        try:
            found.append(Solver(name, make(), batched))
        except ImportError:
            missing.append(name)
    return found, missing
