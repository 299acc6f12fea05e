"""True dynamics as something to imagine with: a persistent pool of MuJoCo simulations.

Takes the place of a learned model in the low-level planner, as in KeyIn's section 10 (ground-truth
dynamics). Where the puck would appear in a picture is computed by projection, not by rendering.
"""

from dataclasses import dataclass

import mujoco.batch
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from envs.push import arm
from envs.push.env import CAMERA, PushEnv
from envs.push.scene import JOINTS, PUCK
from envs.rendering import Projection
from world_models.interface import Future


@dataclass(frozen=True)
class SimulatorState:
    """Physics states, one row per simulation (MuJoCo's integration state, float64)."""

    rows: Float[Tensor, "B S"]


class PushSimulator:
    """Rolls out the pushing physics for up to ``pool`` candidates at once.

    Future features are the pixels (x right, y down) of puck and finger: ``[puck_x, puck_y, finger_x,
    finger_y]``. A simulation that diverges yields NaN features, which every cost counts as infinitely bad.
    """

    decision_dim = 2

    def __init__(self, env: PushEnv, pool: int, threads: int = 1) -> None:
        self._batch = mujoco.batch.Batch(env.model, pool, threads)
        self._project = Projection(env.model, CAMERA, env.observation_space.shape[0])  # type: ignore[index]
        self._pool = pool

    @staticmethod
    def observe(env: PushEnv) -> SimulatorState:
        """The environment's present physics state as a batch of one."""
        return SimulatorState(torch.from_numpy(env.get_state())[None])

    def imagine(self, state: SimulatorState, decisions: Float[Tensor, "B L 2"]) -> Future:
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
        warned = batch.warning[:rows, :, 1].copy()
        qpos, ctrl = batch.bind("qpos"), batch.bind("ctrl")
        positions = np.empty((rows, length, 4))
        for step in range(length):
            joints = qpos[:rows, JOINTS]
            targets = arm.servo_targets(joints, ctrl[:rows], actions[:, step])
            batch.rollout(arm.SUBSTEPS, targets, record=(), ids=ids)
            positions[:, step, :2] = qpos[:rows, PUCK]
            positions[:, step, 2:] = qpos[:rows, JOINTS]
        positions[..., 2:] = arm.forward(positions[..., 2:])
        pixels = self._project(positions.reshape(rows, length, 2, 2), height=0.0)
        # MuJoCo resets a simulation that diverges and only counts a warning.
        diverged = (batch.warning[:rows, :, 1] != warned).any(axis=1)
        pixels[diverged] = np.nan
        features = torch.from_numpy(pixels.reshape(rows, length, 4).astype(np.float32))
        times = torch.arange(1, length + 1, dtype=torch.float32).expand(rows, length)
        return Future(features=features, times=times)
