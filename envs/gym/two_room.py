"""Scripted policies for TwoRoom of stable-worldmodel, to collect data with; the package is not imported.

``python -m envs.collect gym --env stable_worldmodel.envs:swm/TwoRoom-v1 --policy envs.gym.two_room:WANDER``.
The environment ends an episode at a target of its own, which is put out of reach.
"""

from typing import Any

import gymnasium
import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

WALL, LOW, HIGH = 112.0, 21.0, 203.0
"""Where the wall is, and between what the dot may be, in pixels of 224."""
BESIDE_WALL, THROUGH, NEAR = 14.0, 10.5, 10.0
"""Places nearer the wall are no targets; nearer to the door's middle the dot goes on to its target; nearer to
this it takes another one. In pixels."""
FAR_AWAY = (-1e4, -1e4)
HELD = 2
"""Steps that an action is held."""


class Wanderer:
    """Goes to one random place after the other, through the door where there is need, with noise that differs
    from episode to episode. In a share of the episodes it bumps about instead, above all against the wall.
    """

    def __init__(self, bumping: float) -> None:
        """``bumping`` is that share."""
        self._bumping = bumping

    def set_env(self, env: gymnasium.Env[Any, Any]) -> None:
        """Begin an episode of this environment, which draws all that is random."""
        place = env.unwrapped
        target: Any = place.target_position  # type: ignore[attr-defined]
        place.target_position = target.new_tensor(FAR_AWAY)  # type: ignore[attr-defined]
        position: Any = place.agent_position  # type: ignore[attr-defined]
        place.agent_position = position.clamp(LOW, HIGH)  # type: ignore[attr-defined]
        self._rng, self._asked = env.np_random, 0
        self._noise, self._bumps = self._rng.uniform(0.0, 0.6), self._rng.random() < self._bumping
        self._target, self._left = self._free_place(), 0
        self._action: Float[np.ndarray, " 2"] = np.zeros(2)

    def __call__(self, observation: Any, info: dict[str, Any]) -> NDArray[np.float32]:
        """The next action, of which every other is the one before."""
        if self._asked % HELD == 0:
            place = np.clip(np.asarray(info["state"], float), LOW, HIGH)
            door = np.asarray(observation, float)[4:6]
            if self._bumps:
                self._bump(place)
            else:
                self._action = self._toward(place, door) + self._rng.normal(0.0, self._noise, 2)
        self._asked += 1
        return np.clip(self._action, -1.0, 1.0).astype(np.float32)

    def _toward(self, place: NDArray[Any], door: NDArray[Any]) -> Float[np.ndarray, " 2"]:
        while np.linalg.norm(self._target - place) < NEAR:
            self._target = self._free_place()
        through = (place[0] > WALL) != (self._target[0] > WALL) and np.linalg.norm(door - place) > THROUGH
        way = (door if through else self._target) - place
        direction: NDArray[Any] = way / max(float(np.linalg.norm(way)), 1e-8)
        return direction

    def _bump(self, place: NDArray[Any]) -> None:
        """A direction for a few actions, in half of the cases toward the wall."""
        if self._left == 0:
            angle = self._rng.uniform(0.0, 2 * np.pi)
            if self._rng.random() < 0.5:
                angle = (0.0 if place[0] < WALL else np.pi) + self._rng.normal(0.0, 0.6)
            self._action = self._rng.uniform(0.3, 1.3) * np.array([np.cos(angle), np.sin(angle)])
            self._left = int(self._rng.integers(1, 7))
        self._left -= 1

    def _free_place(self) -> Float[np.ndarray, " 2"]:
        while True:
            place: NDArray[Any] = self._rng.uniform(LOW, HIGH, 2)
            if abs(place[0] - WALL) > BESIDE_WALL:
                return place


WANDER = Wanderer(bumping=0.0)
"""Finds its way: what KeyIn learns from."""
WANDER_AND_BUMP = Wanderer(bumping=1 / 7)
"""... and knows what walls do: what a Struct-VRNN learns from."""
