"""Measure trained models.

``python -m world_models.evaluate keyin-push --model DIR --data DIR``: what a planner needs of a KeyIn model.
``python -m world_models.evaluate keyframes --runs push:keyin:0=runs/keyin-push --out keyframes.json``: the
keyframe table, all methods on held-out sequences.
``python -m world_models.evaluate rewards --out rewards.json``: the table of reward prediction, all arms.
``python -m world_models.evaluate struct-vrnn-dmc --out struct-vrnn-dmc.json``: tracking errors, diversity,
SSIM and PSNR, all arms.
``python -m world_models.evaluate imagination --runs A B --out imagination.json``: errors of imagined frames
and rewards by horizon, run beside run.
``python -m world_models.evaluate agents --out agents.json``: bodies found, and what follows where a player's
past is moved.
``python -m world_models.evaluate actions --out actions.json``: which features tell actions apart, all arms.
``python -m world_models.evaluate svg --out svg.json``: SVG on Stochastic Moving Digits, SSIM of the best of
100 samples, directions after a wall, the prior's spread, and pictures.
``python -m world_models.evaluate kalman --out kalman.json``: the Kalman model against an ED-LSTM on
cannonballs: generation, interpolation, positions and the learned law of motion; with figures.
"""

import shlex
import sys

import tyro

from world_models.action_recognition.method import ACTION_RECOGNITION
from world_models.jobs.command import command
from world_models.jobs.outputs import check_device, check_outputs
from world_models.kalman.method import KALMAN
from world_models.keyin.method import KEYIN
from world_models.struct_vrnn.method import STRUCT_VRNN
from world_models.struct_vrnn.rewards.method import REWARDS
from world_models.svg.method import SVG_ON_PICTURES
from world_models.training.method import Evaluation, Method

METHODS: tuple[Method, ...] = (
    KEYIN,
    REWARDS,
    STRUCT_VRNN,
    ACTION_RECOGNITION,
    SVG_ON_PICTURES,
    KALMAN,
)
"""What can be measured, in the order of ``--help``."""


def evaluations() -> dict[str, Evaluation]:
    """Every way to measure, by its name."""
    return {name: found for method in METHODS for name, found in method.evaluations.items()}


@command(resumes=True)
def main() -> None:
    """Read the command line and measure."""
    known = evaluations()
    job = tyro.extras.subcommand_cli_from_dict(
        {name: evaluation.settings for name, evaluation in known.items()},
        prog="python -m world_models.evaluate",
    )
    evaluation = next(evaluation for evaluation in known.values() if type(job) is evaluation.settings)
    check_outputs("--out", *evaluation.outputs(job))
    check_device(getattr(job, "device", "cpu"))
    print(evaluation.measure(job, shlex.join(["python", "-m", "world_models.evaluate", *sys.argv[1:]])))


if __name__ == "__main__":
    main()
