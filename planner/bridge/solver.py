"""Our search for models of stable-worldmodel: one of its ``Solver`` s, over anything that is ``Costable``."""

from collections.abc import Mapping
from math import prod
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from planner.search.cem import CemConfig, cem


@runtime_checkable
class Costable(Protocol):
    """A model that prices action sequences."""

    def get_cost(
        self, info_dict: dict[str, Any], action_candidates: Float[Tensor, "B N L A"]
    ) -> Float[Tensor, "B N"]:
        """Costs of N sequences for each environment; entries of the infos come N times, ``[B, N, ...]``."""
        ...


@runtime_checkable
class Actionable(Protocol):
    """A model that would know what to do without a search, too."""

    def get_action(
        self, info_dict: Mapping[str, Any], horizon: int, prefix_actions: Float[Tensor, "B T A"] | None
    ) -> Float[Tensor, "B L A"]:
        """Actions for so many steps, after those of the prefix."""
        ...


class SearchSolver:
    """:func:`planner.search.cem.cem` where stable-worldmodel expects a solver.

    Row ``b`` of the environments draws from its own generator, so that an environment gets the same actions
    alone or among others, as long as the model's costs do not depend on its neighbours.
    """

    def __init__(
        self, model: Costable, config: CemConfig | None = None, spread: float = 1.0, seed: int = 0
    ) -> None:
        """``spread`` is the standard deviation of the first candidates, in units of actions."""
        if spread <= 0:
            raise ValueError(f"spread must be above 0, got {spread:g}")
        self.model, self.config = model, CemConfig() if config is None else config
        self._spread, self._seed, self._solved = spread, seed, 0

    def configure(self, *, action_space: Any, n_envs: int, config: Any) -> None:
        """``action_space`` is that of all environments together, ``[B, ...]``; ``config`` has ``horizon`` and
        ``action_block``, the actions of the environment in one of the model.
        """
        self._action_dim = prod(action_space.shape[1:]) * config.action_block
        self._n_envs, self._horizon = n_envs, config.horizon

    @property
    def action_dim(self) -> int:
        """Numbers in an action of the model: all actions of the environment that it stands for."""
        return self._action_dim

    @property
    def n_envs(self) -> int:
        """How many environments are planned for."""
        return self._n_envs

    @property
    def horizon(self) -> int:
        """Actions of the model in a plan."""
        return self._horizon

    def __call__(self, info_dict: dict[str, Any], init_action: Tensor | None = None) -> dict[str, Any]:
        """:meth:`solve`."""
        return self.solve(info_dict, init_action)

    @torch.inference_mode()
    def solve(
        self, info_dict: dict[str, Any], init_action: Float[Tensor, "B T A"] | None = None
    ) -> dict[str, Any]:
        """The cheapest actions that the search has seen, ``[B, horizon, action_dim]``, and what they cost.

        ``init_action`` are first actions, of an earlier plan or of a policy; an ``Actionable`` model is asked
        for the rest. They are where the search begins, and one of its candidates.
        """
        batch = len(next(iter(info_dict.values())))
        mean = self._begin(info_dict, init_action, batch)
        count = self.config.candidates
        infos = {name: _each(value, count) for name, value in info_dict.items()}
        generators = [torch.Generator().manual_seed(self._next_seed(row)) for row in range(batch)]
        *_, last = cem(
            lambda candidates: self.model.get_cost(infos, candidates),
            mean,
            torch.full_like(mean, self._spread),
            self.config,
            generators,
            first=mean,
        )
        self._solved += 1
        return {
            "actions": last.best.cpu(),
            "costs": last.best_cost.tolist(),
            "mean": [last.mean.cpu()],
            "var": [last.std.square().cpu()],
        }

    def _begin(
        self, infos: Mapping[str, Any], given: Float[Tensor, "B T A"] | None, batch: int
    ) -> Float[Tensor, "B L A"]:
        known = torch.zeros(batch, 0, self.action_dim) if given is None else given
        missing = self.horizon - known.shape[1]
        if missing <= 0:
            return known[:, : self.horizon].float()
        if isinstance(self.model, Actionable):
            rest = self.model.get_action(infos, horizon=missing, prefix_actions=given)
        else:
            rest = known.new_zeros(batch, missing, self.action_dim)
        return torch.cat([known.to(rest), rest], 1).float()

    def _next_seed(self, row: int) -> int:
        """Of the noise of one row of one search."""
        return int(np.random.SeedSequence((self._seed, self._solved, row)).generate_state(1)[0])


def _each(value: Any, count: int) -> Any:
    """What is known of every environment ``count`` times, ``[B, count, ...]``; lists as they are."""
    if isinstance(value, Tensor):
        return value[:, None].expand(len(value), count, *value.shape[1:])
    if isinstance(value, np.ndarray):
        return np.repeat(value[:, None], count, axis=1)  # a copy: torch takes no read-only memory
    return value
