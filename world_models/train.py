"""Train a world model: ``python -m world_models.train keyin-push --data data/push --out runs/keyin-push``.

Every stage resumes from its last checkpoint, finished stages are skipped; the trained model ends up in
``<out>/model``, losses in ``<out>/log.jsonl``.
"""

import shlex
import sys
from importlib.metadata import entry_points

import tyro
from pydantic import BaseModel

from world_models.action_recognition.method import ACTION_RECOGNITION
from world_models.distillation.method import DISTILLATION
from world_models.jobs.command import command
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


@command(resumes=True)
def main() -> None:
    """Read the command line and train."""
    run = tyro.extras.overridable_config_cli(presets())
    words = shlex.join(["python", "-m", "world_models.train", *sys.argv[1:]])
    method = next(
        method for method in trainings() if type(run) in {type(named) for _, named in method.runs.values()}
    )
    model = method.train(run, words)
    print((model / "card.md").read_text())
    print(f"model: {model}")


if __name__ == "__main__":
    main()
