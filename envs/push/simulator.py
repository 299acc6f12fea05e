"""True dynamics of pushing as something to imagine with.

Where the puck would appear in a picture is computed by projection, not by rendering.
"""

from dataclasses import dataclass

import mujoco.batch
import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from envs.batch_simulator import BatchSimulator
from envs.push import arm
from envs.push.env import PushEnv, standard_view
from envs.push.scene import JOINTS, PUCKS


@dataclass(frozen=True)
class SimulatorState:
    """Physics states, one row per simulation (MuJoCo's integration state, float64)."""

    rows: Float[Tensor, "B S"]


class PushSimulator(BatchSimulator[SimulatorState]):
    """Rolls out the pushing physics for up to ``pool`` candidates at once.

    Future features are the pixels (x right, y down) of puck and finger: ``[puck_x, puck_y, finger_x,
    finger_y]``; a second puck's come between them.
    """

    decision_dim = 2

    def __init__(self, env: PushEnv, pool: int, threads: int = 1) -> None:
        super().__init__(mujoco.batch.Batch(env.model, pool, threads), pool)
        self._env = env
        self._project = standard_view(env.observation_space.shape[0])  # type: ignore[index]

    def observe(self) -> SimulatorState:
        """The environment's present physics state as a batch of one."""
        return SimulatorState(torch.from_numpy(self._env.get_state())[None])

    def _load(self, state: SimulatorState, rows: int) -> None:
        self._batch.state[:rows] = state.rows.numpy()

    def _roll_out(self, actions: NDArray[np.float64]) -> NDArray[np.float64]:
        (rows, length), batch = actions.shape[:2], self._batch
        qpos, ctrl, ids = batch.bind("qpos"), batch.bind("ctrl"), np.arange(rows)
        pucks = PUCKS[: self._env.task.pucks]
        positions = np.empty((rows, length, len(pucks) + 1, 2))
        for step in range(length):
            joints = qpos[:rows, JOINTS]
            targets = arm.servo_targets(joints, ctrl[:rows], actions[:, step])
            batch.rollout(arm.SUBSTEPS, targets, record=(), ids=ids)
            for number, puck in enumerate(pucks):
                positions[:, step, number] = qpos[:rows, puck]
            positions[:, step, -1] = qpos[:rows, JOINTS]
        positions[..., -1, :] = arm.forward(positions[..., -1, :])
        return self._project(positions, height=0.0).reshape(rows, length, -1)
