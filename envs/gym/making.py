"""Making environments of others, and finding the callables that users name."""

import importlib
import inspect
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium

PACKAGES = {
    "swm": ("stable_worldmodel.envs", "pip install 'waymark[worlds]'"),
    "gym_pusht": ("gym_pusht", "pip install 'waymark[worlds]'"),
}
"""By the first part of a name such as swm/TwoRoom-v1: what has to be imported first, and where it is from."""


def make_env(name: str) -> gymnasium.Env[Any, Any]:
    """The environment of that name, which draws itself as ``rgb_array``.

    Raises:
        ValueError: there is no such environment, or it draws no pictures.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what matters of them is a sentence below
            _register(name)
            made = gymnasium.make(name, render_mode="rgb_array", disable_env_checker=True)
    except (gymnasium.error.Error, ImportError) as error:
        raise ValueError(f"--env {name} cannot be made: {error}") from error
    except TypeError as error:
        raise ValueError(f"--env {name} takes no render mode rgb_array: {error}") from error
    if "rgb_array" not in (modes := made.metadata.get("render_modes", [])):
        made.close()
        raise ValueError(
            f"--env {name} draws no pictures: its render modes are {', '.join(map(str, modes)) or 'none'}, "
            "rgb_array is needed"
        )
    return made


def _register(name: str) -> None:
    package, source = PACKAGES.get(name.partition("/")[0], ("", ""))
    if package and name not in gymnasium.registry:
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise ImportError(f"{error}; {source} brings it") from error


def find_callable(option: str, name: str) -> tuple[Callable[..., Any], tuple[Path, ...]]:
    """A callable as ``MODULE:CALLABLE``, and the file that it is written in, where there is one.

    Raises:
        ValueError: there is none.
    """
    module, colon, attribute = name.partition(":")
    if not (module and colon and attribute):
        raise ValueError(f"{option} must be MODULE:CALLABLE, got {name}")
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except ImportError as error:
        raise ValueError(f"{option} {name}: {error}") from error
    if not callable(found):
        raise ValueError(f"{option} {name}: {module} has no callable {attribute}")
    try:
        source = inspect.getsourcefile(importlib.import_module(module))
    except TypeError:  # built into Python
        source = None
    return found, () if source is None else (Path(source),)
