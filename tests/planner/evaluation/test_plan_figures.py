"""Plans over their scene, as a picture."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from planner.evaluation.figures.plans import PLANNED, Panel, draw_panels, draw_plans
from planner.evaluation.push import Push
from planner.evaluation.settings import Settings
from planner.search.cem import CemConfig
from planner.search.servo import ServoConfig

SMALL = ServoConfig(horizon=2, cem=CemConfig(candidates=4, iterations=1, elite_fraction=0.5, bound=1.0))


def coloured(path: Path, colour: str) -> np.ndarray:
    """Share of each column of pixels that has about this colour."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    wanted = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)])
    return (np.abs(pixels - wanted).sum(-1) < 60).mean(axis=0)


def test_a_plan_is_drawn_from_start_to_goal_and_gaps_are_left_out(tmp_path: Path) -> None:
    nothing = np.zeros((1, 2))
    black = np.zeros((64, 64, 3), np.uint8)
    planned = np.array([[4.0, 32.0], [np.nan, np.nan], [58.0, 32.0]])
    draw_panels(
        [Panel("across", black, planned, nothing), Panel("none", black, nothing, nothing)], tmp_path / "p.png"
    )
    columns = coloured(tmp_path / "p.png", PLANNED) > 0
    half = len(columns) // 2
    assert columns[int(0.2 * half) : int(0.8 * half)].mean() > 0.4  # a dashed line
    assert columns[half:].sum() < 3


@pytest.mark.usefixtures("jobs_here")
def test_everybody_is_drawn_side_by_side(tmp_path: Path) -> None:
    run = Push(
        planners="oracle-even,random",
        keyframes=2,
        episodes=1,
        settings=Settings(servo=SMALL),
        out=tmp_path / "r.json",
        drawn=0,
    )
    draw_plans(run, 0, run.drawing_path())
    with Image.open(run.drawing_path()) as picture:
        width, height = picture.size
    assert run.drawing_path() in run.outputs() and 1.6 * height < width < 2.2 * height
    columns = coloured(run.drawing_path(), PLANNED) > 0
    assert columns[: width // 2].any()


def test_an_episode_that_is_not_run_cannot_be_drawn() -> None:
    run = Push(planners="flat", episodes=2, drawn=2)
    with pytest.raises(ValueError, match="from 0 to 1"):
        run.starts(("flat", "simulator"))
