"""Simulated worlds behind the gymnasium API.

Importing this package registers ``waymark/Push-v0`` and, where the environment says nothing else, chooses
off-screen rendering with one thread per process (MuJoCo reads these variables when it is first imported).
"""

import os

from gymnasium.envs.registration import register, registry

os.environ.setdefault("MUJOCO_GL", "egl")
os.environ.setdefault("LP_NUM_THREADS", "0")

PUSH_ID = "waymark/Push-v0"
PUSH_STEPS = 60

if PUSH_ID not in registry:
    register(id=PUSH_ID, entry_point="envs.push:PushEnv", max_episode_steps=PUSH_STEPS)
