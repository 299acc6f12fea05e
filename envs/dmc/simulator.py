"""True dynamics of the DM Control tasks as something to imagine with, rewards included."""

from dataclasses import dataclass

import mujoco
import mujoco.batch
import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from envs.batch_simulator import BatchSimulator
from envs.dmc.env import DmcEnv
from envs.dmc.rewards import make_reward

TARGET = "target"
"""Geometry that the reacher's resets move, within the model."""


@dataclass(frozen=True)
class DmcState:
    """Physics states, one row per simulation, float64: MuJoCo's integration state and the target's place.

    Tasks without a target have zeros there.
    """

    rows: Float[Tensor, "B S"]
    target: Float[Tensor, "B 3"]


class DmcSimulator(BatchSimulator[DmcState]):
    """Rolls out the physics of an environment's task for up to ``pool`` candidates at once.

    Future features are ``[reward]``: what the environment's step would return on arriving there.
    """

    def __init__(self, env: DmcEnv, pool: int, threads: int = 1) -> None:
        super().__init__(mujoco.batch.Batch(env.model, pool, threads, persistent=True), pool)
        self.decision_dim = env.action_size
        self._env = env
        self._target = _target_index(env.model)
        self._places = None if self._target is None else self._batch.expand("geom_pos")
        self._reward = make_reward(env.task, env.model)
        self._repeat, self._substeps = env.task.action_repeat, env.substeps

    def observe(self) -> DmcState:
        """The environment's present physics state as a batch of one."""
        model = self._env.model
        target = np.zeros(3) if self._target is None else model.geom_pos[self._target].copy()
        return DmcState(torch.from_numpy(self._env.physics_state())[None], torch.from_numpy(target)[None])

    def _load(self, state: DmcState, rows: int) -> None:
        self._batch.state[:rows] = state.rows.numpy()
        if self._places is not None:
            self._places[:rows, self._target] = state.target.numpy()

    def _roll_out(self, actions: NDArray[np.float64]) -> NDArray[np.float64]:
        (rows, length), batch, ids = actions.shape[:2], self._batch, np.arange(len(actions))
        rewards = np.zeros((rows, length, 1))
        for step in range(length):
            batch.bind("ctrl")[:rows] = actions[:, step]
            for _ in range(self._repeat):
                # DM Control also brings positions, velocities and sensors up to date after its last substep.
                batch.step(ids, self._substeps, mujoco.mjtStage.mjSTAGE_VEL)
                rewards[:, step, 0] += self._reward(self._field)[:rows]
        return rewards

    def _field(self, name: str) -> NDArray[np.float64]:
        return self._batch.bind(name)


def _target_index(model: mujoco.MjModel) -> int | None:
    """The target's number among the geometries, if it has one."""
    index = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_GEOM, TARGET)
    return None if index < 0 else index
