"""Recorded DM Control tasks under random actions."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from envs.data_set import DataSet, Part, Shards
from envs.dmc.tasks import TASKS, DmcTask, find_task
from world_models.data import Scalar, Sequences

VERSION = 1
LOOKS_VERSION = 1
ALL = "all"


@dataclass(frozen=True)
class Dmc(Shards):
    """DM Control tasks under random actions, with rewards: one folder per task, 20 frames a sequence."""

    out: Path = Path("data/dmc")
    """The shards of a task go into a folder of its name in here."""
    sequences: int = 6_500
    """How many sequences of every task; rounded up to whole shards of 250."""
    task: str = ALL
    """One task such as cartpole-balance, or all of them one after the other."""


@dataclass(frozen=True)
class DmcLooks(Shards):
    """Moments of DM Control tasks as they usually look and as they look in a changed world, 6 of each."""

    out: Path = Path("data/dmc-looks")
    """The shards of a task go into a folder of its name in here."""
    sequences: int = 1_750
    """How many sequences of every task; rounded up to whole shards of 250."""
    task: str = ALL
    """One task such as cartpole-balance, or all of them one after the other."""


def _draw(task: str, seed: int, first: int, count: int) -> tuple[Sequences, dict[str, Scalar]]:
    # A simulator is imported by the process that needs one.
    from envs.dmc.env import DmcEnv
    from envs.dmc.recordings import EPISODE_FRAMES, draw_sequences

    env = DmcEnv(task)
    try:
        more: dict[str, Scalar] = {
            "camera": env.task.camera,
            "action_repeat": env.task.action_repeat,
            "episode_length": EPISODE_FRAMES,
            "observation": env.observation_size,
            "bodies": ",".join(env.bodies),
        }
        return draw_sequences(env, seed, first, count), more
    finally:
        env.close()


def _parts(settings: Dmc) -> Sequence[Part]:
    return [
        Part(
            settings.out / task.name,
            {"environment": task.id, "version": VERSION},
            partial(_draw, task.name),
        )
        for task in _tasks(settings.task)
    ]


def _tasks(wanted: str) -> list[DmcTask]:
    try:
        return list(TASKS.values()) if wanted == ALL else [find_task(wanted)]
    except ValueError as error:
        raise ValueError(f"{error}; or {ALL}") from error


def _draw_looks(task: str, seed: int, first: int, count: int) -> tuple[Sequences, dict[str, Scalar]]:
    from envs.dmc.env import DmcEnv
    from envs.dmc.looks import draw_looks

    env = DmcEnv(task)
    try:
        more: dict[str, Scalar] = {
            "camera": env.task.camera,
            "field_of_view": float(env.model.camera(env.task.camera).fovy[0]),
            "observation": env.observation_size,
            "bodies": ",".join(env.bodies),
        }
    finally:
        env.close()
    return draw_looks(task, seed, first, count), more


def _look_parts(settings: DmcLooks) -> Sequence[Part]:
    origin: dict[str, Scalar] = {"version": LOOKS_VERSION, "policy": "looks"}
    return [
        Part(settings.out / task.name, {"environment": task.id, **origin}, partial(_draw_looks, task.name))
        for task in _tasks(settings.task)
    ]


DMC = DataSet("dmc", Dmc, _parts)
DMC_LOOKS = DataSet("dmc-looks", DmcLooks, _look_parts)
