"""True dynamics of the DM Control tasks as something to imagine with, rewards included.

Takes the place of a learned model as :mod:`envs.push.simulator` does for pushing: what control could reach if
the model were perfect.
"""

from dataclasses import dataclass

import mujoco
import mujoco.batch
import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from envs.dmc.env import DmcEnv
from envs.dmc.rewards import make_reward
from world_models.interface import Future

TARGET = "target"
"""Geometry that the reacher's resets move, within the model."""


@dataclass(frozen=True)
class DmcState:
    """Physics states, one row per simulation, float64: MuJoCo's integration state and the target's place.

    Tasks without a target have zeros there.
    """

    rows: Float[Tensor, "B S"]
    target: Float[Tensor, "B 3"]


class DmcSimulator:
    """Rolls out the physics of an environment's task for up to ``pool`` candidates at once.

    Future features are ``[reward]``: what the environment's step would return on arriving there. A
    simulation that diverges yields NaN, which every cost counts as infinitely bad.
    """

    def __init__(self, env: DmcEnv, pool: int, threads: int = 1) -> None:
        self.decision_dim = env.action_size
        self._batch = mujoco.batch.Batch(env.model, pool, threads, persistent=True)
        self._target = _target_index(env.model)
        self._places = None if self._target is None else self._batch.expand("geom_pos")
        self._reward = make_reward(env.task, env.model)
        self._repeat, self._substeps, self._pool = env.task.action_repeat, env.substeps, pool

    @staticmethod
    def observe(env: DmcEnv) -> DmcState:
        """The environment's present physics state as a batch of one."""
        index = _target_index(env.model)
        target = np.zeros(3) if index is None else env.model.geom_pos[index].copy()
        return DmcState(torch.from_numpy(env.physics_state())[None], torch.from_numpy(target)[None])

    def imagine(self, state: DmcState, decisions: Float[Tensor, "B L A"]) -> Future:
        """Follow the actions ``decisions`` in [-1, 1] from ``state``.

        Raises:
            ValueError: more rows than the pool holds.
        """
        rows, length = decisions.shape[0], decisions.shape[1]
        if rows > self._pool:
            raise ValueError(f"{rows} roll-outs asked of a pool of {self._pool}; make the pool larger")
        actions = np.clip(decisions.numpy(force=True).astype(np.float64), -1.0, 1.0)
        batch, ids = self._batch, np.arange(rows)
        batch.state[:rows] = state.rows.numpy()
        if self._places is not None:
            self._places[:rows, self._target] = state.target.numpy()
        warned = batch.warning[:rows, :, 1].copy()
        rewards = np.zeros((rows, length))
        for step in range(length):
            batch.bind("ctrl")[:rows] = actions[:, step]
            for _ in range(self._repeat):
                # DM Control also brings positions, velocities and sensors up to date after its last substep.
                batch.step(ids, self._substeps, mujoco.mjtStage.mjSTAGE_VEL)
                rewards[:, step] += self._reward(self._field)[:rows]
        # MuJoCo resets a simulation that diverges and only counts a warning.
        diverged = (batch.warning[:rows, :, 1] != warned).any(axis=1)
        rewards[diverged] = np.nan
        times = torch.arange(1, length + 1, dtype=torch.float32).expand(rows, length)
        return Future(features=torch.from_numpy(rewards.astype(np.float32))[..., None], times=times)

    def _field(self, name: str) -> NDArray[np.float64]:
        return self._batch.bind(name)


def _target_index(model: mujoco.MjModel) -> int | None:
    """The target's number among the geometries, if it has one."""
    index = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_GEOM, TARGET)
    return None if index < 0 else index
