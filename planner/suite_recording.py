"""Recording whole episodes of the DM Control tasks, for training: random ones, and the planner's own."""

from collections import deque
from collections.abc import Callable, Sequence
from zlib import crc32

import numpy as np
import torch
from dm_control.rl.control import PhysicsError
from numpy.typing import NDArray

from envs.dmc.env import SEEDS, DmcEnv
from envs.dmc.recordings import Recording, random_actions
from planner.learned import LearnedController
from planner.search.servo import ServoConfig
from planner.suite_learned import reward_controller
from world_models.frames import to_tensor
from world_models.interface import Context

ATTEMPTS = 10
"""An episode whose simulation diverges is drawn again, at most so many times."""
Act = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""The next action ``[A]`` after the next picture ``[H, W, 3]`` of one episode."""
Policy = Callable[[DmcEnv, np.random.Generator], Act]
"""What acts in a new episode. Of the environment it knows task and size of actions, not the state."""


def random_policy(env: DmcEnv, rng: np.random.Generator) -> Act:
    """Random actions, each held for four steps on average."""
    drawn = iter(random_actions(rng, env.task.steps, env.action_size))
    return lambda picture: next(drawn)


def load_policy(model: str, task: str, servo: ServoConfig, noise: float, device: str) -> Policy:
    """The search for predicted reward, whose actions are disturbed.

    Raises:
        ValueError: there is no such model, or it has no reward head for the task.
        CheckpointError: its files are damaged.
    """
    controller = reward_controller(model, task, servo, device)

    def policy(env: DmcEnv, rng: np.random.Generator) -> Act:
        disturbance = noise * rng.standard_normal((env.task.steps, env.action_size), dtype=np.float32)
        generator = torch.Generator().manual_seed(int(rng.integers(2**63)))
        return explore(controller, disturbance, generator, device)

    return policy


def explore(
    controller: LearnedController,
    disturbance: NDArray[np.float32],
    generator: torch.Generator,
    device: str = "cpu",
) -> Act:
    """The controller's actions in one episode, plus one row of ``disturbance [L, A]`` each, clipped to 1."""
    frames = deque[torch.Tensor](maxlen=controller.memory)
    actions = deque[torch.Tensor](maxlen=controller.memory - 1)
    rows, warm_start = iter(disturbance), None

    def act(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        nonlocal warm_start
        frames.append(to_tensor(picture, device))
        none = torch.zeros(0, disturbance.shape[1], device=device)
        seen = Context(torch.stack([*frames])[None], (torch.stack([*actions]) if actions else none)[None])
        step = controller.act(seen, seen.frames[:, -1], warm_start, generator)
        warm_start = step.warm_start
        action = np.clip(step.action[0].cpu().numpy() + next(rows), -1.0, 1.0)
        actions.append(torch.from_numpy(action).to(device))
        return action

    return act


def record_episode(env: DmcEnv, policy: Policy, seed: int, index: int, steps: int | None = None) -> Recording:
    """Episode ``index`` of the environment's task with this seed, from the first picture with a reward on.

    It ends after ``steps`` if that is less than the task's own length.

    Raises:
        ValueError: the simulation diverges at every attempt.
    """
    for attempt in range(ATTEMPTS):
        rng = np.random.default_rng([seed, crc32(env.task.name.encode()), index, attempt])
        env.start(int(rng.integers(SEEDS)))
        try:
            return _record(env, policy(env, rng), steps or env.task.steps)
        except PhysicsError:
            continue
    raise ValueError(
        f"{env.task.name}: episode {index} of seed {seed} diverged {ATTEMPTS} times; choose another --seed"
    )


def _record(env: DmcEnv, act: Act, steps: int) -> Recording:
    picture, over = env.render(), False
    frames, actions, states, rewards = [], [], [], list[float]()
    while not over and len(rewards) < steps:
        action = act(picture)
        reward, over = env.advance(action.astype(np.float64))
        picture = env.render()
        frames.append(picture)
        actions.append(action)
        states.append(env.state())
        rewards.append(reward)
    return Recording(
        frames=np.stack(frames),
        actions=np.stack(actions[1:]),
        states=np.stack(states).astype(np.float32),
        rewards=np.array(rewards, dtype=np.float32),
    )


def cut(episode: Recording, frames: int) -> Sequence[Recording]:
    """Consecutive parts of ``frames`` pictures; the last one ends with the episode."""
    length = len(episode.frames)
    starts = [*range(0, length - frames, frames), length - frames]
    return [
        Recording(
            episode.frames[start : start + frames],
            episode.actions[start : start + frames - 1],
            episode.states[start : start + frames],
            episode.rewards[start : start + frames],
        )
        for start in starts
    ]
