"""Measure trained models.

``python -m world_models.evaluate keyin-push --model DIR --data DIR``: what a planner needs of a KeyIn model.
``python -m world_models.evaluate keyframes --runs push:keyin:0=runs/keyin-push --out keyframes.json``: the
keyframe table, all methods on held-out sequences.
``python -m world_models.evaluate rewards --out rewards.json``: the table of reward prediction, all arms.
``python -m world_models.evaluate struct-vrnn-dmc --out struct-vrnn-dmc.json``: tracking errors, diversity,
SSIM and PSNR, all arms.
``python -m world_models.evaluate svg --out svg.json``: SVG on Stochastic Moving Digits, SSIM of the best of
100 samples, directions after a wall, the prior's spread, and pictures.
``python -m world_models.evaluate kalman --out kalman.json``: the Kalman model against an ED-LSTM on
cannonballs: generation, interpolation, positions and the learned law of motion; with figures.
"""

import shlex
import sys
from collections.abc import Callable
from typing import Any

import tyro
from pydantic import BaseModel

from world_models.kalman.evaluation.evaluation import KalmanEvaluation, evaluate_kalman
from world_models.kalman.evaluation.table import markdown_tables as kalman_tables
from world_models.keyin.evaluation import KeyInEvaluation, evaluate_keyin, figure_lines
from world_models.keyin.keyframes.evaluation import KeyframeEvaluation, evaluate_keyframes
from world_models.keyin.keyframes.results import markdown_table as keyframe_table
from world_models.struct_vrnn.evaluation.evaluation import TrackingEvaluation, evaluate_tracking
from world_models.struct_vrnn.evaluation.table import markdown_tables as tracking_tables
from world_models.struct_vrnn.rewards.table import RewardEvaluation, evaluate_rewards
from world_models.struct_vrnn.rewards.table import markdown_table as reward_table
from world_models.svg.evaluation.evaluation import SVGEvaluation, evaluate_svg
from world_models.svg.evaluation.table import markdown_tables as video_tables

EVALUATIONS: dict[str, tuple[type[BaseModel], Callable[[Any, str], str]]] = {
    "keyin-push": (KeyInEvaluation, lambda job, _: figure_lines(evaluate_keyin(job))),
    "keyframes": (KeyframeEvaluation, lambda job, _: keyframe_table(evaluate_keyframes(job))),
    "rewards": (RewardEvaluation, lambda job, command: reward_table(evaluate_rewards(job, command))),
    "struct-vrnn-dmc": (
        TrackingEvaluation,
        lambda job, command: tracking_tables(evaluate_tracking(job, command)),
    ),
    "svg": (SVGEvaluation, lambda job, command: video_tables(evaluate_svg(job, command))),
    "kalman": (KalmanEvaluation, lambda job, command: kalman_tables(evaluate_kalman(job, command))),
}
"""By name: the settings, and what measures. It is given the settings and the command that started it, writes
its results, answers what to print, and raises ValueError or RuntimeError where something is wrong."""


def main() -> None:
    """Read the command line and measure."""
    job = tyro.extras.subcommand_cli_from_dict(
        {name: kind for name, (kind, _) in EVALUATIONS.items()}, prog="python -m world_models.evaluate"
    )
    command = shlex.join(["python", "-m", "world_models.evaluate", *sys.argv[1:]])
    measure = next(measure for kind, measure in EVALUATIONS.values() if isinstance(job, kind))
    try:
        print(measure(job, command))
    except (ValueError, RuntimeError) as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
