"""Train a world model: ``python -m world_models.train keyin-push --data data/push --out runs/keyin-push``.

Every stage resumes from its last checkpoint, finished stages are skipped; the trained model ends up in
``<out>/model``, losses in ``<out>/log.jsonl``.
"""

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tyro
from pydantic import BaseModel

from world_models.action_recognition.recipe import ActionRun
from world_models.action_recognition.run import train_action_recognition
from world_models.kalman.ed_lstm.presets import ED_LSTM_PRESETS
from world_models.kalman.ed_lstm.recipe import EDLSTMRun
from world_models.kalman.ed_lstm.run import train_ed_lstm
from world_models.kalman.presets import KALMAN_PRESETS
from world_models.kalman.recipe import KalmanRun
from world_models.kalman.run import train_kalman
from world_models.keyin.presets import PRESETS
from world_models.keyin.recipe import KeyInRun
from world_models.keyin.run import train_keyin
from world_models.struct_vrnn.presets import STRUCT_VRNN_PRESETS
from world_models.struct_vrnn.recipe import StructVRNNRun
from world_models.struct_vrnn.rewards.recipe import RewardRun
from world_models.struct_vrnn.rewards.run import train_rewards
from world_models.struct_vrnn.run import train_struct_vrnn
from world_models.svg.presets import SVG_PRESETS
from world_models.svg.recipe import SVGRun
from world_models.svg.run import train_svg_model
from world_models.tap.presets import TAP_PRESETS
from world_models.tap.recipe import TapRun
from world_models.tap.run import train_on_pictures

TRAININGS: dict[type[BaseModel], Callable[[Any, str], Path]] = {
    KeyInRun: train_keyin,
    TapRun: train_on_pictures,
    StructVRNNRun: train_struct_vrnn,
    SVGRun: train_svg_model,
    RewardRun: train_rewards,
    ActionRun: train_action_recognition,
    KalmanRun: train_kalman,
    EDLSTMRun: train_ed_lstm,
}
"""What runs a training of each kind: given the run and the command that started it, it answers the model's
folder, and raises ValueError or RuntimeError where something is wrong."""


def presets() -> dict[str, tuple[str, BaseModel]]:
    """Every named run: what it is, and its settings, into a folder of its name under ``runs``."""
    runs, named = Path("runs"), dict[str, tuple[str, BaseModel]]()
    for name, (text, recipe) in PRESETS.items():
        named[name] = (text, KeyInRun(recipe=recipe, out=runs / name))
    for name, (text, tap) in TAP_PRESETS.items():
        named[name] = (text, TapRun(recipe=tap, out=runs / name))
    for name, (text, folder, struct) in STRUCT_VRNN_PRESETS.items():
        named[name] = (text, StructVRNNRun(recipe=struct, data=folder, out=runs / name))
    for name, (text, kalman) in KALMAN_PRESETS.items():
        named[name] = (text, KalmanRun(recipe=kalman, out=runs / name))
    for name, (text, ed_lstm) in ED_LSTM_PRESETS.items():
        named[name] = (text, EDLSTMRun(recipe=ed_lstm, out=runs / name))
    for name, (text, folder, svg) in SVG_PRESETS.items():
        named[name] = (text, SVGRun(recipe=svg, data=folder, out=runs / name))
    named["rewards"] = ("reward heads of a finished Struct-VRNN run", RewardRun())
    named["action-recognition"] = ("classifier of labelled keypoint sequences", ActionRun())
    return named


def main() -> None:
    """Read the command line and train."""
    run = tyro.extras.overridable_config_cli(presets())
    command = shlex.join(["python", "-m", "world_models.train", *sys.argv[1:]])
    try:
        model = TRAININGS[type(run)](run, command)
    except (ValueError, RuntimeError) as error:
        raise SystemExit(str(error)) from error
    print((model / "card.md").read_text())
    print(f"model: {model}")


if __name__ == "__main__":
    main()
