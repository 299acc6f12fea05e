"""Putting an environment into a state with a goal: by a hook of the user, or as stable-worldmodel does it."""

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from jaxtyping import Float32

from envs.gym.making import find_callable

Place = Callable[[gymnasium.Env[Any, Any], Float32[np.ndarray, " S"], Float32[np.ndarray, " S"]], None]
"""(environment, state, goal): from here on the environment is in that state, and wants to be in the goal."""


def find_place(env: gymnasium.Env[Any, Any], hook: str | None) -> Place | None:
    """The hook of that name, or what the environment offers by itself; None where there is neither.

    Raises:
        ValueError: there is no such hook.
    """
    if hook is not None:
        return find_callable("--hook", hook)[0]
    bare = env.unwrapped
    if hasattr(bare, "_set_state") and hasattr(bare, "_set_goal_state"):
        return _as_stable_worldmodel
    return None


def _as_stable_worldmodel(
    env: gymnasium.Env[Any, Any], state: Float32[np.ndarray, " S"], goal: Float32[np.ndarray, " S"]
) -> None:
    """Its environments have these methods for its evaluations, which start from recorded states."""
    bare: Any = env.unwrapped
    bare._set_goal_state(goal)
    bare._set_state(state)
