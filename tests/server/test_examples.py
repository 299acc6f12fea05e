"""The examples do what their headers say: on small worlds, and on the models that ship."""

import os
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from server.local import running_server
from server.models.service import ModelService

EXAMPLES = Path(__file__).parents[2] / "examples"
MODELS = "keyin-push,struct-vrnn-push,struct-vrnn-dmc,kalman-cannonballs"


def plan(url: str, out: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """What ``plan.sh`` says."""
    settings = os.environ | {"OUT": str(out)} | environment
    return subprocess.run(
        [EXAMPLES / "plan.sh", url], env=settings, capture_output=True, text=True, timeout=60
    )


def size(path: Path) -> tuple[int, int]:
    """Width and height of a picture."""
    with Image.open(path) as picture:
        return picture.size


def example(name: str, *arguments: object, timeout: float = 120) -> str:
    """What an example in Python says in a process of its own."""
    command = [sys.executable, EXAMPLES / name, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=True).stdout


def test_plans_from_the_shell(url: str, tmp_path: Path) -> None:
    told = plan(url, tmp_path)
    assert told.returncode == 0, told.stderr
    assert [size(tmp_path / f"subgoal-{index}.png") for index in range(6)] == [(64, 64)] * 6
    assert len(set(told.stdout.split()[-3:])) == 1 and told.stdout.count('"iteration":') == 3


def test_the_shell_shows_problems(
    make_service: Callable[..., ModelService], serve: Callable[..., Any], tmp_path: Path
) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"alice {'0' * 64}\n")
    with serve(make_service(keys_file=keys)) as url:
        refused = plan(url, tmp_path, WAYMARK_KEY="no such key")
    assert refused.returncode == 1 and "urn:waymark:problem:unauthorized" in refused.stderr


# Servers are started before anything is captured: that they set up logging may close what is.
@pytest.fixture
def world_url(worlds: ModelService, serve: Callable[..., Any]) -> Iterator[str]:
    with serve(ModelService(worlds.settings, lambda name, device: worlds.models[name])) as url:
        yield url


@pytest.fixture
def video_url(videos: ModelService, serve: Callable[..., Any]) -> Iterator[str]:
    with serve(ModelService(videos.settings, lambda name, device: videos.models[name])) as url:
        yield url


def test_rewards_are_plotted(world_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main = runpy.run_path(str(EXAMPLES / "rewards.py"))["main"]
    main(world_url, ("cartpole-balance",), out=tmp_path / "plot.png")
    assert "cartpole-balance: mean absolute error" in capsys.readouterr().out
    assert size(tmp_path / "plot.png") > (300, 300)


def test_cannonballs_are_followed(video_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main = runpy.run_path(str(EXAMPLES / "cannonballs.py"))["main"]
    main(video_url, balls=2, out=tmp_path / "plot.png")
    told = capsys.readouterr().out
    assert "foreseen: mean distance" in told and "filled in: mean distance" in told
    assert size(tmp_path / "plot.png") > (300, 300)


@pytest.mark.slow
def test_examples_work_with_the_models_that_ship(tmp_path: Path) -> None:
    with running_server(MODELS, threads=1) as url:
        assert plan(url, tmp_path).returncode == 0
        told = example("closed_loop.py", url, "--seed", 1, "--out", tmp_path / "film.mp4")
        assert "success" in told and told.count("subgoal 0,") <= 10
        frames, _ = imageio_ffmpeg.count_frames_and_secs(str(tmp_path / "film.mp4"))
        assert frames == told.count("step ") + 1
        errors = example("rewards.py", url, "--out", tmp_path / "plot.png")
        assert float(errors.split("error ")[1].split(",")[0]) < 0.4
        places = example("cannonballs.py", url, "--out", tmp_path / "balls.png")
        assert float(places.split("filled in: mean distance to the true places ")[1].split()[0]) < 2
    assert size(tmp_path / "plot.png") > (300, 300)


@pytest.mark.slow
def test_a_plan_in_a_world_of_ones_own_goes_through_the_door(tmp_path: Path) -> None:
    told = example("own_world.py", "--out", tmp_path, timeout=1200)
    assert "a plan of" in told
    with Image.open(tmp_path / "plan.png") as picture:
        strip = np.asarray(picture.convert("RGB")).astype(int)
    pictures = [strip[::4, left : left + 256 : 4] for left in range(0, strip.shape[1], 260)]
    redness = [shown[..., 0] - shown[..., 2] for shown in pictures]
    places = [np.unravel_index(red.argmax(), red.shape) for red in redness]
    columns = [int(column) for _, column in places]
    assert columns[0] < 20 and columns[-1] > 44
    near = min(places, key=lambda place: abs(int(place[1]) - 32))
    assert abs(int(near[0]) - 32) < 12, "where the wall is open"
