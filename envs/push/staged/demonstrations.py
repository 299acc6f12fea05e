"""Recording demonstrations of scenes with stages."""

import numpy as np

from envs.push.demonstrations import KEPT_DISTANCE, PLAN_DRAWS, Array, Demonstration, carry_out
from envs.push.env import PushEnv
from envs.push.scene import PUCK_NAMES, Scene
from envs.push.staged.plans import StagedPusher, plan_stages

STEPS = 90
"""Every third state is saved, and the first."""


def demonstrate_stages(env: PushEnv, scene: Scene, rng: np.random.Generator) -> Demonstration | None:
    """One attempt at ``scene``; ``None`` without a plan, or if not all pushes were finished in time."""
    plan = next((plan for _ in range(PLAN_DRAWS) if (plan := plan_stages(scene, rng, STEPS))), None)
    if plan is None:
        return None
    pusher = StagedPusher(plan)

    def act(positions: dict[str, Array]) -> tuple[Array, bool]:
        pucks = [positions[name] for name in PUCK_NAMES if name in positions]
        return pusher.act(pucks, positions["finger"])

    found = carry_out(env, scene, STEPS, act)
    return found if pusher.finished and env.distance() <= KEPT_DISTANCE else None


def draw_stages(env: PushEnv, seed: int, index: int) -> Demonstration:
    """Sequence ``index`` of the data set of the environment's task with this seed: the first success.

    Depends on nothing but its arguments, so any process may make any sequence.
    """
    rng = np.random.default_rng([seed, index])
    while True:
        demonstration = demonstrate_stages(env, env.task.draw(rng), rng)
        if demonstration is not None:
            return demonstration
