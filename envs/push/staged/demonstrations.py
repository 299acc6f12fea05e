"""Recording demonstrations of scenes with stages."""

import numpy as np

from envs.push.demonstrations import KEPT_DISTANCE, PLAN_DRAWS, Demonstration
from envs.push.env import PushEnv
from envs.push.scene import PUCK_NAMES, Scene
from envs.push.staged.plans import STRIDE, StagedPusher, plan_stages

STEPS = 90
FRAMES = STEPS // STRIDE + 1
"""Every third state is saved, and the first: 31 frames for 90 steps."""


def demonstrate_stages(env: PushEnv, scene: Scene, rng: np.random.Generator) -> Demonstration | None:
    """One attempt at ``scene``; ``None`` without a plan, or if not all pushes were finished in time."""
    plan = next((plan for _ in range(PLAN_DRAWS) if (plan := plan_stages(scene, rng, STEPS))), None)
    if plan is None:
        return None
    env.start(scene)
    pusher = StagedPusher(plan)
    states, actions, ends = [env.get_state()], [], []
    for step in range(STEPS):
        positions = env.positions()
        pucks = [positions[name] for name in PUCK_NAMES if name in positions]
        action, reached = pusher.act(pucks, positions["finger"])
        if reached:
            ends.append(step)
        env.advance(action)
        actions.append(action)
        states.append(env.get_state())
    if not pusher.finished or env.distance() > KEPT_DISTANCE:
        return None
    keyframes = np.zeros(FRAMES, dtype=bool)
    keyframes[np.minimum(-(-np.array(ends) // STRIDE), FRAMES - 1)] = True
    return Demonstration(
        scene=scene,
        states=np.stack(states[::STRIDE]),
        actions=np.stack(actions).reshape(FRAMES - 1, STRIDE, 2).mean(axis=1),
        keyframes=keyframes,
    )


def draw_stages(env: PushEnv, seed: int, index: int) -> Demonstration:
    """Sequence ``index`` of the data set of the environment's task with this seed: the first success.

    Depends on nothing but its arguments, so any process may make any sequence.
    """
    rng = np.random.default_rng([seed, index])
    while True:
        demonstration = demonstrate_stages(env, env.task.draw(rng), rng)
        if demonstration is not None:
            return demonstration
