"""Wrong shapes and undefined names do not get past the checks: both are planted here."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError

from envs.videos.brownian import draw_pictures
from planner.search.cem import CemConfig, cem
from server.http.pictures import to_base64
from world_models.layers import reparameterise

ROOT = Path(__file__).parents[1]


def one_row_of_noise_for_two() -> None:
    reparameterise((torch.zeros(2, 3), torch.zeros(2, 3)), torch.zeros(1, 3))


def places_in_space() -> None:
    draw_pictures(np.full((4, 3), 30.0))


def one_spread_for_two_numbers() -> None:
    zeros = torch.zeros(1, 3, 2)
    cem(
        lambda candidates: candidates.sum((2, 3)), zeros, zeros[..., :1] + 1, CemConfig(), [torch.Generator()]
    )


def pictures_without_colours() -> None:
    to_base64(np.zeros((64, 64), np.uint8))


@pytest.mark.parametrize(
    "call", [one_row_of_noise_for_two, places_in_space, one_spread_for_two_numbers, pictures_without_colours]
)
def test_a_wrong_shape_is_seen_in_every_package(call: Callable[[], None]) -> None:
    with pytest.raises(TypeCheckError, match="Type-check error whilst checking the parameters"):
        call()


@pytest.mark.usefixtures("unchecked")
def test_a_test_can_look_behind_the_checks() -> None:
    one_row_of_noise_for_two()
    places_in_space()


def test_commands_run_without_the_checks() -> None:
    command = "import world_models.layers as m; print(hasattr(m.reparameterise, '__wrapped__'))"
    found = subprocess.run(
        [sys.executable, "-c", command], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "False"
    assert hasattr(reparameterise, "__wrapped__")


def test_an_undefined_name_is_found(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch.py"
    scratch.write_text('"""Scratch."""\n\n\ndef answer() -> int:\n    """A number."""\n    return unknown\n')
    command = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--no-cache",
        "--config",
        ROOT / "pyproject.toml",
        scratch,
    ]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 1 and "F821" in found.stdout and found.stdout.count("unknown") >= 1
    assert "Found 1 error" in found.stdout
