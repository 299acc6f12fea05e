"""Any gymnasium environment as a world: pictures and actions as in the data that models learned from, success
as the environment itself says.
"""

import sys
from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any, ClassVar, Literal

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from tqdm import tqdm

from envs.gym.making import make_env
from envs.gym.placing import find_place
from envs.gym.starts import GymStart, own_goals
from envs.owned.sources.pictures import fit_picture, to_rgb
from envs.owned.sources.spaces import action_size, decode_action
from envs.world import Column, Diverged, Episodes, Measures, Picture, Record, World, mean_column
from world_models.statistics import mcnemar, wilson_interval

SUCCESS = ("success", "is_success")
"""Infos by which environments say that the goal is reached."""


def _success(records: Sequence[Record], by_who: Mapping[str, Sequence[Record]]) -> Record:
    """Rate and interval, and the episodes that only this row or only the first one won."""
    wins = [record["success"] for record in records]
    first = [record["success"] for record in next(iter(by_who.values()), records)]
    won = sum(mine and not other for mine, other in zip(wins, first, strict=True))
    lost = sum(other and not mine for mine, other in zip(wins, first, strict=True))
    return {
        "success_rate": float(np.mean(wins)),
        "success_ci95": list(wilson_interval(sum(wins), len(wins))),
        "won": won,
        "lost": lost,
        "mcnemar_p": mcnemar(won, lost),
    }


def _success_text(row: Mapping[str, Any]) -> str:
    low, high = row["success_ci95"]
    return f"{100 * row['success_rate']:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def _steps(records: Sequence[Record], _: Mapping[str, Sequence[Record]]) -> Record:
    """Steps of the environment in episodes that were won; None where none was."""
    steps = [record["environment_steps"] for record in records if record["success"]]
    return {"environment_steps_mean": float(np.mean(steps)) if steps else None}


def _steps_text(row: Mapping[str, Any]) -> str:
    steps = row["environment_steps_mean"]
    return "-" if steps is None else f"{steps:.1f}"


class Pictures(gymnasium.Env[Picture, NDArray[np.float64]]):
    """An environment as models know it: a step holds an action for several of its own, and is seen as a
    picture that is shrunk as on import.
    """

    def __init__(
        self, env: gymnasium.Env[Any, Any], size: int, fit: Literal["crop", "pad"], skip: int
    ) -> None:
        self.bare, self._size, self._fit, self._skip = env, size, fit, skip
        self.metadata = {**env.metadata, "render_fps": max(1, env.metadata.get("render_fps", 10) // skip)}
        self.observation_space = spaces.Box(0, 255, (size, size, 3), np.uint8)
        self.action_space = spaces.Box(-1.0, 1.0, (action_size(env.action_space),), np.float64)
        self.most_steps: int | None = None
        self.begun(0)

    def begun(self, seed: int) -> Any:
        """Reset the environment; answers its infos."""
        self.taken, self.over, self.success, self.reward = 0, False, False, 0.0
        _, info = self.bare.reset(seed=seed)
        return info

    def step(self, action: NDArray[np.float64]) -> tuple[Picture, float, bool, bool, dict[str, Any]]:
        """Hold the action until the next picture, the end of the episode or of the steps that are allowed."""
        chosen = decode_action(self.bare.action_space, action.astype(np.float32))
        self.reward, truncated = 0.0, False
        for _ in range(self._skip):
            _, reward, terminated, truncated, info = self.bare.step(chosen)
            self.taken += 1
            self.reward += float(reward)
            said = [bool(info[name]) for name in SUCCESS if name in info]
            self.success = any(said) if said else bool(terminated)
            self.over = bool(terminated or truncated or self.success) or self.taken == self.most_steps
            if self.over:
                break
        return self.see(), self.reward, self.over and not truncated, bool(truncated), {}

    def see(self) -> Picture:
        """The picture of this moment."""
        return self.fitted(np.asarray(self.bare.render()))

    def fitted(self, picture: NDArray[Any]) -> Picture:
        """A picture of any size, as models see it."""
        return fit_picture(to_rgb(picture), self._size, self._fit)

    def close(self) -> None:
        """Close the environment."""
        self.bare.close()


class GymWorld(World[GymStart]):
    """An environment by its name; see :class:`envs.gym.recording.Recording` for the other settings."""

    columns: ClassVar[Sequence[Column | str]] = (
        Column("success (95 % CI)", _success, _success_text),
        Column("steps of the won", _steps, _steps_text),
        mean_column("steps", "steps_mean", "steps", ".1f"),
        "whole",
        "imagined",
        "plan_seconds",
        "decision_seconds",
    )

    def __init__(
        self,
        env: str,
        size: int,
        fit: Literal["crop", "pad"],
        skip: int,
        most_steps: int | None = None,
        hook: str | None = None,
    ) -> None:
        """An episode takes ``most_steps`` of the environment at most, and as many as it has itself if that is
        None; ``hook`` names what sets the environment to a state.

        Raises:
            ValueError: there is no such environment or hook.
        """
        self.id = f"gym:{env}"
        bare = make_env(env)
        self.env: Pictures = Pictures(bare, size, fit, skip)
        self.env.most_steps = most_steps
        self._place = find_place(bare, hook)
        limit = bare.spec.max_episode_steps if bare.spec is not None and most_steps is None else most_steps
        self.steps = 0 if limit is None else ceil(limit / skip)
        self._actions: tuple[tuple[float, ...], ...] = ()

    @property
    def can_be_placed(self) -> bool:
        """Whether episodes can start anywhere."""
        return self._place is not None

    def shows_goals(self) -> bool:
        """Whether the environment shows goals of its own, as pictures."""
        return isinstance(self.env.begun(0).get("goal"), np.ndarray)

    def episodes(self, count: int, seed: int | None = None) -> Episodes[GymStart]:
        """Of its own goals: there are frozen ones of nothing else."""
        return own_goals(count, seed or 0)

    def begin(self, start: GymStart) -> tuple[Picture, Picture]:
        """Put the environment where the start says.

        Raises:
            ValueError: it cannot be put there, or shows no goal.
        """
        info = self.env.begun(start.seed)
        self._actions = start.actions
        if not start.state:
            goal = info.get("goal")
            if not isinstance(goal, np.ndarray):
                raise ValueError(f"{self.id} shows no goal: its infos hold no picture of that name")
            return self.env.see(), self.env.fitted(goal)
        if self._place is None:
            raise ValueError(f"{self.id} cannot be set to a state; give a hook as --hook MODULE:CALLABLE")
        state, wanted = (np.array(part, np.float32) for part in (start.state, start.goal))
        self._place(self.env.bare, wanted, wanted)
        goal = self.env.see()
        self._place(self.env.bare, state, wanted)
        return self.env.see(), goal

    def step(self, action: NDArray[np.float32]) -> Picture:
        """Hold the action. Where the environment fails it says how and raises Diverged, which ends the
        episode, but not the evaluation.
        """
        try:
            return super().step(action)
        except Exception as error:
            tqdm.write(f"{self.id} failed: {type(error).__name__}: {error}", file=sys.stderr)
            raise Diverged(f"{type(error).__name__}: {error}") from error

    @property
    def over(self) -> bool:
        """Whether the environment has ended the episode."""
        return self.env.over

    def measure(self) -> Measures:
        """Whether the environment says that the goal is reached, and what it has counted."""
        return {
            "success": self.env.success,
            "environment_steps": self.env.taken,
            "reward": self.env.reward,
        }

    def recorded_action(self, step: int) -> NDArray[np.float32]:
        """What was done at that step after the start when the goal was recorded; nothing after it."""
        if step < len(self._actions):
            return np.array(self._actions[step], np.float32)
        return np.zeros(self.action_size, np.float32)

    def record(
        self, start: GymStart, measures: Sequence[Measures], plans: Sequence[Sequence[tuple[float, ...]]]
    ) -> Record:
        """Success, and the steps of the environment that it took."""
        return {
            "success": bool(measures[-1]["success"]),
            "environment_steps": int(measures[-1]["environment_steps"]),
            "return": float(sum(measure["reward"] for measure in measures[1:])),
        }
