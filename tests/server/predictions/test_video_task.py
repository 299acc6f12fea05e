"""Work with models of videos comes in pieces and ends between them; which ones ship is found out."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from planner.loaded import ReadyKalman, ReadySVG
from planner.loading import available_ready, load_ready
from planner.search.rollout import Interrupted, drive
from server.models.service import ModelService
from server.predictions.video_task import VideoTask, example_interpolation, example_track, example_video
from server.settings import PLANNERS, Settings
from world_models import shipped


@pytest.mark.parametrize("reason", ["deadline", "cancelled"])
def test_work_ends_between_pieces(videos: ModelService, reason: Any) -> None:
    svg, kalman = (videos.models[name] for name in ("tiny-lp", "tiny-kalman"))
    assert isinstance(svg, ReadySVG) and isinstance(kalman, ReadyKalman)
    for task in (example_video(svg), example_track(kalman), example_interpolation(kalman)):
        with pytest.raises(Interrupted) as stopped:
            drive(task.work("cpu"), lambda _: reason)
        assert stopped.value.reason == reason


def test_others_have_their_turn_before_every_future(videos: ModelService) -> None:
    svg = videos.models["tiny-lp"]
    assert isinstance(svg, ReadySVG)
    example = example_video(svg)
    turns: list[Any] = []
    drive(VideoTask(svg, example.seen, example.actions, samples=5, seed=1).work("cpu"), turns.append)
    assert turns == [None] * 5


def test_models_of_videos_that_ship_are_loaded_too(
    video_folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(video_folders["tiny-lp"].parent, tmp_path / "pretrained")
    monkeypatch.setattr(shipped, "PRETRAINED", folder)
    assert available_ready() == ("tiny-det", "tiny-fp", "tiny-lp", "tiny-kalman")
    assert Settings().models == (*PLANNERS, *available_ready())
    ready = [load_ready(name) for name in available_ready()]
    assert [model.image_size for model in ready] == [16] * 4
    assert len({model.sha256 for model in ready}) == 4
