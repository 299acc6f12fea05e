"""Where episodes start and what their goals are: pairs from recorded or newly played episodes, or the
environment's own goals.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from envs.gym.recording import Recording
from envs.owned.intake.recording import EPISODES_IN
from envs.owned.sources.gym import episode_seeds, open_player
from envs.world import Episodes, canonical
from world_models.data import SequenceDataset, read_attributes, read_shard

TRIES = 20
"""Episodes that are played for one pair at most: those that are too short are passed over."""


@dataclass(frozen=True)
class GymStart:
    """A start and a goal, numbers that the environment can be set to; none where it sets its own goals."""

    seed: int
    """What the environment is reset with."""
    offset: int | None
    """Steps of the environment from the start to the goal, as they were recorded."""
    state: tuple[float, ...] = ()
    goal: tuple[float, ...] = ()
    actions: tuple[tuple[float, ...], ...] = ()
    """What was done between them, an action every ``skip`` steps, their mean."""

    @property
    def digest(self) -> str:
        """SHA-256 of all of it."""
        return hashlib.sha256(canonical(vars(self))).hexdigest()


def own_goals(count: int, seed: int) -> Episodes[GymStart]:
    """Seeds for an environment that shows a goal of its own."""
    return _episodes([GymStart(number, None) for number in _seeds(seed, count)], "own-goals", seed)


@lru_cache(maxsize=8)
def fresh_pairs(env: str, recording: Recording, offset: int, count: int, seed: int) -> Episodes[GymStart]:
    """Pairs from episodes that are played anew, as the recorded ones were, with another seed: a start, and
    the state ``offset`` steps of the environment later.

    Raises:
        ValueError: episodes are too short, or states are not known.
    """
    starts: list[GymStart] = []
    rng = np.random.default_rng([seed, offset])
    with open_player(env, recording.policy, recording.max_steps, seed) as player:
        for number, episode in enumerate(player.list_episodes(TRIES * count)):
            steps = list(episode.steps())
            if len(starts) == count:
                break
            if any(step.state is None for step in steps):
                raise ValueError(f"--env {env} does not say its state, so that no start can be set")
            latest = (len(steps) - 1 - offset) // recording.skip
            if latest < 0:
                continue
            first = recording.skip * int(rng.integers(latest + 1))
            done = np.stack(
                [step.action for step in steps[first + 1 : first + offset + 1] if step.action is not None]
            )
            state, goal = steps[first].state, steps[first + offset].state
            assert state is not None and goal is not None
            starts.append(
                GymStart(
                    seed=episode_seeds(seed, number)[0],
                    offset=offset,
                    state=tuple(state.tolist()),
                    goal=tuple(goal.tolist()),
                    actions=_held(done, recording.skip),
                )
            )
    if len(starts) < count:
        raise ValueError(
            f"{TRIES * count} episodes of {env} gave {len(starts)} pairs that are {offset} steps apart; "
            "choose a smaller --offset"
        )
    return _episodes(starts, f"fresh-{offset}", seed)


@lru_cache(maxsize=8)
def recorded_pairs(
    folder: Path, recording: Recording, offset: int, count: int, seed: int
) -> Episodes[GymStart]:
    """Pairs from the recorded episodes that are for testing, of one sequence each.

    Raises:
        ValueError: the data cannot give such pairs.
    """
    if offset % recording.skip:
        low = offset - offset % recording.skip
        raise ValueError(
            f"{folder} has every {recording.skip}th step, none that is {offset} after another; choose "
            f"--offset {low or recording.skip} or {low + recording.skip}, or play new episodes with "
            "--fresh SEED"
        )
    frames = offset // recording.skip
    found: list[tuple[int, NDArray[np.float32], NDArray[np.float32]]] = []
    for path in SequenceDataset(folder).paths:
        attributes = read_attributes(path)
        if attributes.get("split") != "test":
            continue
        shard, row = read_shard(path), 0
        if shard.states.shape[-1] == 0:
            raise ValueError(f"{folder} does not say states, so that no start can be set")
        for name, _, _, _, sequences in json.loads(str(attributes[EPISODES_IN])):
            number = int(str(name).rpartition("-")[2])
            for k in range(row, row + sequences):
                found.append((number, shard.states[k], shard.actions[k]))
            row += sequences
    if not found or found[0][1].shape[0] <= frames:
        longest = 0 if not found else (found[0][1].shape[0] - 1) * recording.skip
        raise ValueError(
            f"sequences for testing in {folder} are {longest} steps long, none has states {offset} apart; "
            "choose a smaller --offset, or play new episodes with --fresh SEED"
        )
    rng = np.random.default_rng([seed, offset])
    starts = []
    for _ in range(count):
        number, states, actions = found[int(rng.integers(len(found)))]
        first = int(rng.integers(len(states) - frames))
        starts.append(
            GymStart(
                seed=episode_seeds(recording.seed, number)[0],
                offset=offset,
                state=tuple(states[first].tolist()),
                goal=tuple(states[first + frames].tolist()),
                actions=tuple(tuple(action.tolist()) for action in actions[first : first + frames]),
            )
        )
    return _episodes(starts, f"{folder.name}-{offset}", seed)


def _episodes(starts: Sequence[GymStart], name: str, seed: int) -> Episodes[GymStart]:
    digests = canonical([start.digest for start in starts])
    return Episodes(name, seed, hashlib.sha256(digests).hexdigest(), starts)


def _held(actions: NDArray[np.float32], skip: int) -> tuple[tuple[float, ...], ...]:
    """Means of ``skip`` actions each."""
    parts = [actions[first : first + skip].mean(0) for first in range(0, len(actions), skip)]
    return tuple(tuple(part.tolist()) for part in parts)


def _seeds(seed: int, count: int) -> list[int]:
    return [int(number) for number in np.random.SeedSequence(seed).generate_state(count)]
