"""Train a world model: ``python -m world_models.train keyin-push --data data/push --out runs/keyin-push``.

Every stage resumes from its last checkpoint, finished stages are skipped; the trained model ends up in
``<out>/model``, losses in ``<out>/log.jsonl``.

``--seeds 0,1,2`` trains one model per seed, into ``<out>-0``, ``<out>-1``, ``<out>-2``: one after the other,
``--workers N`` at a time, or with ``--ray [ADDRESS]`` on the machines of a Ray cluster.
"""

import argparse
import shlex
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import tyro
from pydantic import BaseModel

from world_models.action_recognition.method import ACTION_RECOGNITION
from world_models.distillation.method import DISTILLATION
from world_models.jobs.cluster import AT_HAND
from world_models.jobs.command import command
from world_models.jobs.workers import run_jobs
from world_models.kalman.ed_lstm.method import ED_LSTM
from world_models.kalman.method import KALMAN
from world_models.keyin.method import KEYIN
from world_models.keyin.own.method import OWN_KEYIN
from world_models.keyin.reader.run import READER
from world_models.struct_vrnn.control.method import CONTROL
from world_models.struct_vrnn.method import STRUCT_VRNN
from world_models.struct_vrnn.own.method import OWN_STRUCT_VRNN
from world_models.struct_vrnn.rewards.method import REWARDS
from world_models.svg.method import SVG_ON_PICTURES
from world_models.tap.method import TAP
from world_models.training.method import Method, Refinement

METHODS: tuple[Method, ...] = (
    KEYIN,
    TAP,
    STRUCT_VRNN,
    KALMAN,
    ED_LSTM,
    SVG_ON_PICTURES,
    REWARDS,
    CONTROL,
    ACTION_RECOGNITION,
)
"""What can be trained, in the order of ``--help``."""
REFINEMENTS: tuple[Refinement, ...] = (OWN_KEYIN, OWN_STRUCT_VRNN, DISTILLATION, READER)
"""What can be trained on data of users, or further, after them."""
GROUP = "waymark.trainings"
"""Entry points of packages that build on this one and declare a training: a :class:`Refinement` each."""


def trainings() -> tuple[Method | Refinement, ...]:
    """All that a run can be of."""
    declared = (entry.load() for entry in entry_points(group=GROUP))
    return (*METHODS, *REFINEMENTS, *declared)


def presets() -> dict[str, tuple[str, BaseModel]]:
    """Every named run: what it is, and its settings."""
    return {name: run for method in trainings() for name, run in method.runs.items()}


def read_run(arguments: Sequence[str]) -> Any:
    """The settings of the run that a command line asks for, of whichever method."""
    return tyro.extras.overridable_config_cli(presets(), description=__doc__, args=arguments)


def train(arguments: Sequence[str]) -> Path:
    """Do the run that a command line asks for; answers the model's folder.

    Raises:
        ValueError, Failure: something is wrong with it.
    """
    run = read_run(arguments)
    method = next(
        method for method in trainings() if type(run) in {type(named) for _, named in method.runs.values()}
    )
    return method.train(run, shlex.join(["python", "-m", "world_models.train", *arguments]))


def train_all(several: argparse.Namespace, arguments: Sequence[str]) -> None:
    """Do a run for each seed; what is asked of all is in ``arguments``. Raises as :func:`train`."""
    seeds = several.seeds.split(",")
    if not all(seed.isascii() and seed.isdigit() for seed in seeds) or len(set(seeds)) < len(seeds):
        raise ValueError(f"--seeds must be different numbers with commas between, got {several.seeds!r}")
    if several.workers < 1:
        raise ValueError("--workers must be at least 1")
    run = read_run(arguments)
    if not {"out", "seed"} <= type(run).model_fields.keys():
        raise ValueError("this run has no seed of its own, or no folder of its own; leave out --seeds")
    out = Path(several.out or run.out)
    jobs = [([*arguments, "--seed", seed, "--out", f"{out}-{seed}"],) for seed in seeds]
    # Other processes can import the function from here, but not from ``__main__``.
    importable = import_module("world_models.train").train
    run_jobs(
        importable,
        jobs,
        lambda _, model: print(f"model: {model}"),
        workers=several.workers,
        ray=several.ray,
        device=run.device,
    )


def _several(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """What is said of several runs, and the rest."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--seeds")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--ray", nargs="?", const=AT_HAND)
    parser.add_argument("--out")
    return parser.parse_known_args(arguments)


@command(resumes=True)
def main() -> None:
    """Read the command line and train."""
    several, rest = _several(sys.argv[1:])
    if several.seeds is not None:
        train_all(several, rest)
        return
    if several.ray is not None:
        raise ValueError("--ray is for several runs: say which with --seeds 0,1,2")
    model = train(sys.argv[1:])
    print((model / "card.md").read_text())
    print(f"model: {model}")


if __name__ == "__main__":
    main()
