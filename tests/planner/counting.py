"""A world of DM Control whose pictures, states and rewards can be told by counting."""

import dataclasses

import numpy as np
from dm_control.rl.control import PhysicsError

from envs.dmc.tasks import TASKS, DmcTask
from envs.dmc.world import DmcWorld

STEPS = 10


class CountingEnv:
    """Shows how many steps were taken and pays the action; the first starts may diverge."""

    observation_size, action_size, image_size, bodies = 1, 1, 16, ("dot",)

    def __init__(self, task="walker-walk", diverging=0):
        self.task: DmcTask = dataclasses.replace(TASKS[task], action_repeat=1000 // STEPS)
        self.diverging = diverging
        self.steps = self.starts = 0

    def start(self, seed):
        self.starts += 1
        self.steps = 0

    def advance(self, action):
        self.steps += 1
        if self.starts <= self.diverging and self.steps == 3:
            raise PhysicsError
        return float(action[0]), self.steps == STEPS

    def render(self):
        return np.full((16, 16, 3), self.steps, np.uint8)

    def state(self):
        return np.array([self.steps, 1.0, 2.0])

    def close(self):
        pass


class CountingWorld(DmcWorld):
    """Acts in it."""

    def __init__(self, task="walker-walk", diverging=0):
        self.id, self.env = f"dmc/{task}", CountingEnv(task, diverging)
        self.steps, self._reward = STEPS, 0.0

    @property
    def action_size(self):
        return 1
