"""The worlds there are, by id. A simulator is imported by the process that needs one."""

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any, cast

from envs.dmc.tasks import TASKS as DMC_TASKS
from envs.push.ids import PUSH_IDS
from envs.world import World

WORLDS: Mapping[str, tuple[str, Mapping[str, Any]]] = MappingProxyType(
    {
        **{task: ("envs.push.world:PushWorld", {"task": task}) for task in PUSH_IDS},
        **{f"dmc/{task}": ("envs.dmc.world:DmcWorld", {"task": task}) for task in DMC_TASKS},
    }
)
"""Class (``module:name``) and settings of each world."""

GYM, GYM_WORLD = "gym:", "envs.gym.world:GymWorld"
"""Before the name of any gymnasium environment, and the class of them all."""


def find_world(name: str) -> type[World[Any]]:
    """The class of the world of that id.

    Raises:
        ValueError: there is no such world; the message names those there are.
    """
    if name not in WORLDS and not name.startswith(GYM):
        raise ValueError(f"no world {name!r}; there are {', '.join(WORLDS)}")
    module, kind = (GYM_WORLD if name.startswith(GYM) else WORLDS[name][0]).split(":")
    return cast(type[World[Any]], getattr(import_module(module), kind))


def make_world(name: str, **settings: Any) -> World[Any]:
    """The world of that id; ``settings`` are further ones of its class. Raises likewise."""
    world = find_world(name)
    known = {"env": name.removeprefix(GYM)} if name.startswith(GYM) else WORLDS[name][1]
    return world(**known, **settings)
