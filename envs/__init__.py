"""Simulated worlds behind the gymnasium API.

Importing this package registers ``waymark/Push-v0``, its harder variants and the six DM Control tasks of
:data:`envs.dmc.tasks.TASKS`; no simulator is imported before one of them is made. Where the environment
says nothing else, it chooses off-screen rendering with one thread per process (MuJoCo reads these variables
when it is first imported).
"""

import importlib
import os
from contextlib import suppress

from gymnasium.envs.registration import register, registry

from envs.dmc import tasks
from envs.push.ids import OTHER_STEPS, PUSH_IDS, PUSH_STEPS
from world_models import __version__ as __version__
from world_models.jobs.workers import follow_parent

follow_parent()

os.environ.setdefault("MUJOCO_GL", "egl")
os.environ.setdefault("LP_NUM_THREADS", "0")

# Torch's CUDA packages bring Triton and load it when an optimiser is made. Mesa's renderer and Triton each
# hold an LLVM, and a process that loads Triton after Mesa dies.
with suppress(ImportError):
    importlib.import_module("triton")

for _task, _id in PUSH_IDS.items():
    if _id not in registry:
        _steps = OTHER_STEPS.get(_task, PUSH_STEPS)
        register(
            id=_id, entry_point="envs.push.env:PushEnv", max_episode_steps=_steps, kwargs={"task": _task}
        )

for _dmc_task in tasks.TASKS.values():
    if _dmc_task.id not in registry:
        register(
            id=_dmc_task.id,
            entry_point="envs.dmc.env:DmcEnv",
            max_episode_steps=_dmc_task.steps,
            kwargs={"task": _dmc_task.name},
        )
