"""Recorded DM Control tasks under random actions."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from envs.data_set import DataSet, Part, Shards
from envs.dmc.tasks import TASKS, find_task
from world_models.data import Scalar, Sequences

VERSION = 1
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
    try:
        tasks = list(TASKS.values()) if settings.task == ALL else [find_task(settings.task)]
    except ValueError as error:
        raise ValueError(f"{error}; or {ALL}") from error
    return [
        Part(
            settings.out / task.name,
            {"environment": task.id, "version": VERSION},
            partial(_draw, task.name),
        )
        for task in tasks
    ]


DMC = DataSet("dmc", Dmc, _parts)
