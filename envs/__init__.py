"""Simulated worlds behind the gymnasium API.

Importing this package registers ``waymark/Push-v0``.
"""

from gymnasium.envs.registration import register, registry

PUSH_ID = "waymark/Push-v0"
PUSH_STEPS = 60

if PUSH_ID not in registry:
    register(id=PUSH_ID, entry_point="envs.push:PushEnv", max_episode_steps=PUSH_STEPS)
