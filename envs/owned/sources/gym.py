"""Any gymnasium environment that draws itself, recorded under a policy; nothing of it need be ours."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from jaxtyping import Float32

from envs.gym.making import find_callable, make_env
from envs.owned.sources.episode import Episode, Step
from envs.owned.sources.spaces import encode_action
from world_models.data import DataError

Policy = Callable[[Any, dict[str, Any]], Any]
"""(observation, info) -> action."""
RANDOM = "random"


@dataclass(frozen=True)
class Player:
    """Plays episodes in one environment.

    Attributes:
        policy: None draws actions at random; one that has a method ``set_env`` is given the environment at
            the start of every episode.
        files: what the policy is written in.
        max_steps: most steps of an episode; None leaves it to the environment.
        seed: episodes of different seeds differ.
    """

    env: gymnasium.Env[Any, Any]
    policy: Policy | None
    files: tuple[Path, ...]
    max_steps: int | None
    seed: int

    def list_episodes(self, count: int) -> list[Episode]:
        """Episodes that are played when their steps are asked for.

        Raises:
            ValueError: there are to be none.
        """
        if count < 1:
            raise ValueError(f"--episodes must be at least 1, got {count}")
        return [
            Episode(f"episode-{number:05d}", partial(self._play, number), self.files)
            for number in range(count)
        ]

    def _play(self, number: int) -> Iterator[Step]:
        with _faults_of_others():
            yield from self._steps(number)

    def _steps(self, number: int) -> Iterator[Step]:
        seeds = episode_seeds(self.seed, number)
        observation, info = self.env.reset(seed=seeds[0])
        self.env.action_space.seed(seeds[1])
        if (begin := getattr(self.policy, "set_env", None)) is not None:
            begin(self.env)
        yield Step(self._draw, reward=0.0, state=_state(observation, info))
        taken, over = 0, False
        while not over and taken != self.max_steps:
            action = self.env.action_space.sample() if self.policy is None else self.policy(observation, info)
            numbers = encode_action(self.env.action_space, action)
            observation, reward, terminated, truncated, info = self.env.step(action)
            taken, over = taken + 1, terminated or truncated
            yield Step(self._draw, numbers, float(reward), _state(observation, info))

    def _draw(self) -> np.ndarray:
        with _faults_of_others():
            picture = self.env.render()
        if not isinstance(picture, np.ndarray):
            raise DataError(f"render() must answer a picture, got {type(picture).__name__}")
        return picture


def episode_seeds(seed: int, number: int) -> tuple[int, int]:
    """What the environment and its actions at random are seeded with in an episode."""
    first, second = np.random.SeedSequence([seed, number]).generate_state(2).tolist()
    return first, second


@contextmanager
def _faults_of_others() -> Iterator[None]:
    """An exception of somebody else's environment or policy costs one episode, not the whole recording."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{type(error).__name__}: {error}") from error


def find_policy(name: str) -> tuple[Policy | None, tuple[Path, ...]]:
    """The policy of that name, and the file that it is written in; None for random actions.

    Raises:
        ValueError: there is no such policy.
    """
    if name == RANDOM:
        return None, ()
    if ":" not in name:
        raise ValueError(f"--policy must be {RANDOM} or MODULE:CALLABLE, got {name}")
    return find_callable("--policy", name)


@contextmanager
def open_player(env: str, policy: str, max_steps: int | None, seed: int) -> Iterator[Player]:
    """Make an environment and find the policy for it; the environment is closed at the end.

    Raises:
        ValueError: there is no such environment or policy, it draws no pictures, or episodes would not end.
    """
    if seed < 0 or (max_steps is not None and max_steps < 1):
        raise ValueError("--max-steps must be at least 1, --seed at least 0")
    chosen, files = find_policy(policy)
    made = make_env(env)
    try:
        if max_steps is None and (made.spec is None or made.spec.max_episode_steps is None):
            raise ValueError(f"{env} has no limit on the steps of an episode; give --max-steps")
        yield Player(made, chosen, files, max_steps, seed)
    finally:
        made.close()


def _state(observation: Any, info: Mapping[str, Any]) -> Float32[np.ndarray, " S"] | None:
    """An observation that is a vector of numbers, or else such a state among the infos; None without."""
    for found in (observation, info.get("state")):
        if isinstance(found, np.ndarray) and found.ndim == 1 and found.dtype.kind in "fiub":
            return found.astype(np.float32)
    return None
