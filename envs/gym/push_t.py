"""Push-T of gym-pusht: demonstrations by a search in its true dynamics, and a hook for states and goals.

``python -m envs.collect gym --env gym_pusht/PushT-v0 --policy envs.gym.push_t:DEMONSTRATE``. The package is
not imported. States are those it observes: agent x and y, block x and y in 0..512, the block's angle in
radians.
"""

from typing import Any

import gymnasium
import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

NEAR, TURNED = 20.0, np.pi / 9
"""A state counts as the goal if agent and block together are within so many pixels of 512 of it and the block
is turned by less (DINO-WM's evaluation of Push-T; the environment's own success is 95 % of a fixed place
covered).
"""
LOW, HIGH = 100.0, 412.0
"""Where the block is wanted in demonstrations."""
FAR, TURN = 120.0, 1.2
"""How far from where it is, at most, it is wanted next, in pixels, and how much it is to be turned."""
PATIENCE = 20
"""Steps after which another pose is wanted in any case."""
ARRIVED = 18.0
"""Mean distance of the block's corners from where they are wanted that is near enough for the next place."""
REACH = 80.0
"""An action is a place for the agent, at most so far from it."""


class Demonstrator:
    """Pushes the block to one random pose after the other. Actions come from a cross-entropy search in a copy
    of the environment, so that they are good but no person's.
    """

    def __init__(
        self, candidates: int = 24, iterations: int = 2, horizon: int = 5, noise: float = 6.0
    ) -> None:
        """``candidates`` x ``iterations`` sequences of ``horizon`` actions are tried for each; ``noise`` in
        pixels is added to what is done.
        """
        self._candidates, self._iterations, self._horizon = candidates, iterations, horizon
        self._noise = noise
        self._copy: Any = None

    def set_env(self, env: gymnasium.Env[Any, Any]) -> None:
        """Begin an episode of this environment, which draws all that is random and is kept from ending."""
        bare = _plainly_drawn(env)
        bare._get_coverage = _none
        if not isinstance(self._copy, type(bare)):
            self._copy = type(bare)(obs_type="state", render_mode="rgb_array")
            self._copy.reset(seed=0)
            self._copy._get_coverage = _none
        self._rng = env.np_random
        self._mean = np.zeros((self._horizon, 2))
        self._wanted: NDArray[Any] | None = None
        self._tried = 0

    def __call__(self, observation: Any, info: dict[str, Any]) -> NDArray[np.float32]:
        """The next place for the agent."""
        state = np.asarray(observation, float)
        self._tried += 1
        arrived = self._wanted is None or _apart(corners(state[2:]), self._wanted) < ARRIVED
        if self._wanted is None or arrived or self._tried > PATIENCE:
            self._tried = 0
            middle = np.clip(state[2:4] + self._rng.uniform(-FAR, FAR, 2), LOW, HIGH)
            pose = np.array([*middle, state[4] + self._rng.uniform(-TURN, TURN)])
            self._wanted, self._mean = corners(pose), np.zeros((self._horizon, 2))
        offset = self._search(state, np.asarray(info["vel_agent"], float), self._wanted)
        there = state[:2] + offset + self._rng.normal(0.0, self._noise, 2)
        return np.clip(there, 0.0, 512.0).astype(np.float32)

    def _search(
        self,
        state: Float[np.ndarray, " 5"],
        velocity: Float[np.ndarray, " 2"],
        wanted: Float[np.ndarray, "8 2"],
    ) -> Float[np.ndarray, " 2"]:
        """The first offset of the best sequence found; the rest of it is what the next search starts from."""
        shape, spread = (self._candidates, self._horizon, 2), np.full((self._horizon, 2), REACH / 2)
        mean, best, least = self._mean, self._mean, np.inf
        for _ in range(self._iterations):
            # Ways that go on in one direction, and others: the agent has to get round the block.
            straight = self._rng.normal(size=(self._candidates, 1, 2))
            drawn = mean + spread * (straight + self._rng.normal(size=shape)) / np.sqrt(2)
            drawn = np.clip(drawn, -REACH, REACH)
            drawn[0] = mean
            costs = np.array([self._try(state, velocity, offsets, wanted) for offsets in drawn])
            elite = drawn[costs.argsort()[: self._candidates // 6]]
            mean, spread = elite.mean(0), elite.std(0) + 4.0
            if costs.min() < least:
                best, least = drawn[costs.argmin()], costs.min()
        self._mean = np.concatenate([best[1:], np.zeros((1, 2))])
        first: NDArray[Any] = best[0]
        return first

    def _try(
        self,
        state: Float[np.ndarray, " 5"],
        velocity: Float[np.ndarray, " 2"],
        offsets: Float[np.ndarray, "L 2"],
        wanted: Float[np.ndarray, "8 2"],
    ) -> float:
        """How far the corners are from their places afterwards, and a little of how far the agent is from the
        block, without which it does not find it.
        """
        set_state(self._copy, state)
        self._copy.agent.velocity = (float(velocity[0]), float(velocity[1]))
        found = state
        for offset in offsets:
            found = self._copy.step(np.clip(found[:2] + offset, 0.0, 512.0))[0]
        block = corners(found[2:])
        reach = float(np.linalg.norm(found[:2] - block, axis=-1).min())
        return _apart(block, wanted) + 0.03 * reach


def corners(pose: Float[np.ndarray, " 3"]) -> Float[np.ndarray, "8 2"]:
    """The corners of both bars of the block at x, y, angle, in pixels of 512."""
    across = [(-60, 30), (60, 30), (60, 0), (-60, 0)]
    down = [(-15, 30), (-15, 120), (15, 120), (15, 30)]
    cosine, sine = np.cos(pose[2]), np.sin(pose[2])
    turned: NDArray[Any] = np.array([*across, *down], float) @ np.array([[cosine, sine], [-sine, cosine]])
    return turned + pose[:2]


def set_state(env: Any, state: Float[np.ndarray, " 5"]) -> None:
    """Put the bare environment into a state as it is observed, at rest.

    Its own way sets the position first; as the angle turns the block about its centre of mass, it then is
    somewhere else.
    """
    env.agent.position, env.agent.velocity = (float(state[0]), float(state[1])), (0.0, 0.0)
    env.block.velocity, env.block.angular_velocity = (0.0, 0.0), 0.0
    env.block.angle = float(state[4])
    env.block.position = (float(state[2]), float(state[3]))
    env.space.reindex_shapes_for_body(env.block)
    env.space.reindex_shapes_for_body(env.agent)


def place(
    env: gymnasium.Env[Any, Any], state: Float[np.ndarray, " 5"], goal: Float[np.ndarray, " 5"]
) -> None:
    """The hook, ``--hook envs.gym.push_t:place``. The green zone is drawn as ever: it is no goal here."""
    bare = _plainly_drawn(env)
    set_state(bare, state)
    bare._get_coverage = lambda: float(is_there(np.asarray(bare.get_obs(), float), np.asarray(goal, float)))


def is_there(state: Float[np.ndarray, " 5"], goal: Float[np.ndarray, " 5"]) -> bool:
    """Whether a state is the goal, as far as is asked."""
    turned = abs((state[4] - goal[4] + np.pi) % (2 * np.pi) - np.pi)
    return bool(np.linalg.norm(state[:4] - goal[:4]) < NEAR and turned < TURNED)


def _plainly_drawn(env: gymnasium.Env[Any, Any]) -> Any:
    """The bare environment; its pictures are small, and do not show the last action as they would."""
    bare: Any = env.unwrapped
    bare.render = bare._render
    return bare


def _apart(found: Float[np.ndarray, "8 2"], wanted: Float[np.ndarray, "8 2"]) -> float:
    return float(np.linalg.norm(found - wanted, axis=-1).mean())


def _none() -> float:
    return 0.0


DEMONSTRATE = Demonstrator()
"""Goes from pose to pose: what KeyIn and a Struct-VRNN learn from."""
