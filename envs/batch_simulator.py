"""True dynamics as something to imagine with: a persistent pool of MuJoCo simulations.

They take the place of a learned model in the low-level planner, as in KeyIn's section 10: what control could
reach if the model were perfect.
"""

from abc import ABC, abstractmethod
from typing import Generic, Protocol, TypeVar, runtime_checkable

import mujoco
import mujoco.batch
import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from world_models.interface import Dynamics, Future, State


@runtime_checkable
class Simulator(Dynamics[State], Protocol[State]):
    """Dynamics that know the state of the world they belong to."""

    def observe(self) -> State:
        """The present physics state, as a batch of one."""
        ...


StateT = TypeVar("StateT")


class BatchSimulator(ABC, Generic[StateT]):
    """Rolls out an environment's physics for up to ``pool`` candidates at once."""

    decision_dim: int

    def __init__(self, batch: mujoco.batch.Batch, pool: int) -> None:
        self._batch, self._pool = batch, pool

    @abstractmethod
    def observe(self) -> StateT:
        """The environment's present physics state as a batch of one."""

    def imagine(self, state: StateT, decisions: Float[Tensor, "B L A"]) -> Future:
        """Follow the actions ``decisions`` in [-1, 1] from ``state``.

        A simulation that diverges yields NaN features, which every cost counts as infinitely bad.

        Raises:
            ValueError: more rows than the pool holds.
        """
        rows, length = decisions.shape[0], decisions.shape[1]
        if rows > self._pool:
            raise ValueError(f"{rows} roll-outs asked of a pool of {self._pool}; make the pool larger")
        actions = np.clip(decisions.numpy(force=True).astype(np.float64), -1.0, 1.0)
        self._load(state, rows)
        warned = self._batch.warning[:rows, :, 1].copy()
        features = self._roll_out(actions)
        # MuJoCo resets a simulation that diverges and only counts a warning.
        features[(self._batch.warning[:rows, :, 1] != warned).any(axis=1)] = np.nan
        times = torch.arange(1, length + 1, dtype=torch.float32).expand(rows, length)
        return Future(features=torch.from_numpy(features.astype(np.float32)), times=times)

    @abstractmethod
    def _load(self, state: StateT, rows: int) -> None:
        """Put the first ``rows`` simulations into these states."""

    @abstractmethod
    def _roll_out(self, actions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Do actions ``[rows, L, A]``; answers what every step leads to, ``[rows, L, F]``."""
