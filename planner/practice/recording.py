"""Recording whole episodes of the DM Control tasks, for training: random ones, and the planner's own."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from zlib import crc32

import numpy as np
import torch
from numpy.typing import NDArray

from envs.dmc.env import SEEDS
from envs.dmc.recordings import Recording, random_actions
from envs.dmc.world import DmcWorld
from planner.episode import Outcome, episode
from planner.evaluation.control_models import find_control
from planner.loading import is_control, load_world_model
from planner.low_levels.learned import VALUE_HORIZON, control_by_reward, control_by_value, find_head
from planner.low_levels.low_level import LowLevel, Request
from planner.pursuit import Actor, Randomness, one_stream
from planner.search.rollout import drive
from planner.search.servo import Acting, ServoConfig, ServoStep

ATTEMPTS = 10
"""An episode whose simulation diverges is drawn again, at most so many times."""
Policy = Callable[[DmcWorld, np.random.Generator], tuple[LowLevel, Randomness]]
"""Who acts in a new episode. Of the world it knows length and size of actions, not the state."""


class Rehearsed(LowLevel):
    """Actions ``[L, A]`` that were drawn beforehand, one after the other."""

    def __init__(self, actions: NDArray[np.float32]) -> None:
        self._rows = iter(torch.from_numpy(actions))

    def acting(self, request: Request) -> Acting:
        """The next one."""
        yield from ()
        action = next(self._rows)[None]
        return ServoStep(action, action[:, None], torch.full((1,), torch.nan), action[:, None])


class Disturbed(LowLevel):
    """Another's actions plus one row of ``disturbance [L, A]`` each, clipped to 1."""

    def __init__(self, low_level: LowLevel, disturbance: NDArray[np.float32]) -> None:
        self._low_level, self._rows = low_level, iter(torch.from_numpy(disturbance))

    def acting(self, request: Request) -> Acting:
        """The next one."""
        step = yield from self._low_level.acting(request)
        return replace(step, action=(step.action.cpu() + next(self._rows)).clamp(-1.0, 1.0))


def random_policy(world: DmcWorld, rng: np.random.Generator) -> tuple[LowLevel, Randomness]:
    """Random actions, each held for four steps on average."""
    return Rehearsed(random_actions(rng, world.steps, world.action_size)), one_stream(0)


@dataclass(frozen=True)
class Search:
    """A search for reward in a learned model, and what its actions depend on beside the settings."""

    low_level: LowLevel
    settings: ServoConfig
    made_of: Mapping[str, str]
    """SHA-256 of what it loaded, by what that is; of control models their name, too."""


def load_search(model: str, task: str, servo: ServoConfig, horizon: int | None, device: str) -> Search:
    """The search for predicted reward: in a Struct-VRNN, or in a control model with its value at the end.

    ``horizon`` replaces that of the settings; None leaves it, but for control models, which look
    :data:`~planner.low_levels.learned.VALUE_HORIZON` steps ahead.

    Raises:
        ValueError: there is no such model, it has no reward head for the task, or it was trained for another.
        CheckpointError: its files are damaged.
    """
    if is_control(model):
        control = find_control(model, task, device)
        config = servo.model_copy(update={"horizon": horizon or VALUE_HORIZON})
        # The name, not the path: a run that lies elsewhere, or is named otherwise, goes on with its episodes.
        made_of = {
            "model": control.name,
            "weights": control.weights_sha256,
            "detector": control.control.config.detector,
        }
        return Search(control_by_value(control.world, control.control, config), config, made_of)
    ready = load_world_model(model, device)
    config = servo if horizon is None else servo.model_copy(update={"horizon": horizon})
    made_of = {"weights": ready.weights_sha256, "head": find_head(ready, task).sha256}
    return Search(control_by_reward(ready, task, config), config, made_of)


def disturbed_policy(low_level: LowLevel, noise: float) -> Policy:
    """Another's actions, each with noise of this standard deviation."""

    def policy(world: DmcWorld, rng: np.random.Generator) -> tuple[LowLevel, Randomness]:
        disturbance = noise * rng.standard_normal((world.steps, world.action_size), dtype=np.float32)
        return Disturbed(low_level, disturbance), one_stream(int(rng.integers(2**63)))

    return policy


def record_episode(
    world: DmcWorld,
    policy: Policy,
    seed: int,
    index: int,
    steps: int | None = None,
    device: str = "cpu",
) -> Recording:
    """Episode ``index`` of the world's task with this seed, from the first picture with a reward on.

    It ends after ``steps`` if that is less than the task's own length. Pictures are handed over on
    ``device``.

    Raises:
        ValueError: the simulation diverges at every attempt.
    """
    task = world.env.task.name
    for attempt in range(ATTEMPTS):
        rng = np.random.default_rng([seed, crc32(task.encode()), index, attempt])
        world.env.start(int(rng.integers(SEEDS)))
        low_level, randomness = policy(world, rng)
        actor = Actor(low_level, device=device)
        running = episode(world, world.env.render(), None, steps or world.steps, actor, randomness)
        outcome = drive(running)
        if outcome.stop != "diverged":
            return _recording(outcome)
    raise ValueError(
        f"{task}: episode {index} of seed {seed} diverged {ATTEMPTS} times; choose another --seed"
    )


def _recording(outcome: Outcome) -> Recording:
    measures = outcome.measures[1:]
    return Recording(
        frames=np.stack(outcome.frames[1:]),
        actions=np.stack(outcome.actions[1:]),
        states=np.stack([measure["state"] for measure in measures]).astype(np.float32),
        rewards=np.array([measure["reward"] for measure in measures], dtype=np.float32),
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
