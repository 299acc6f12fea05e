"""Simulated worlds behind the gymnasium API.

Importing this package registers ``waymark/Push-v0``, its harder variants and the six DM Control tasks of
:data:`envs.suite_tasks.TASKS`; no simulator is imported before one of them is made. Where the environment
says nothing else, it chooses off-screen rendering with one thread per process (MuJoCo reads these variables
when it is first imported).
"""

import os

from gymnasium.envs.registration import register, registry

from envs import suite_tasks

os.environ.setdefault("MUJOCO_GL", "egl")
os.environ.setdefault("LP_NUM_THREADS", "0")

PUSH_STEPS = 60
TIGHT_PUSH_STEPS = 36
"""A demonstration's finger travels 2.9 table units: 29 steps at full speed."""

PUSH_ID = "waymark/Push-v0"
PUSH_IDS = {
    "push": PUSH_ID,
    "push-long": "waymark/PushLong-v0",
    "push-two-walls": "waymark/PushTwoWalls-v0",
    "push-tight": "waymark/PushTight-v0",
}
"""Environment ids by task; :mod:`envs.push_tasks` says what the tasks are."""

for _task, _id in PUSH_IDS.items():
    if _id not in registry:
        _steps = TIGHT_PUSH_STEPS if _task == "push-tight" else PUSH_STEPS
        register(id=_id, entry_point="envs.push:PushEnv", max_episode_steps=_steps, kwargs={"task": _task})

for _suite_task in suite_tasks.TASKS.values():
    if _suite_task.id not in registry:
        register(
            id=_suite_task.id,
            entry_point="envs.suite:SuiteEnv",
            max_episode_steps=_suite_task.steps,
            kwargs={"task": _suite_task.name},
        )
