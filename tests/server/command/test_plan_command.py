"""``waymark plan``: a picture of a plan from two pictures, or one clear sentence."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from server.client import Client
from server.command.plan import PlanPictures, plan
from server.command.verbs import main
from server.local import running_server
from server.plans.schemas import MAX_KEYFRAMES

EXAMPLES = Path(__file__).parents[3] / "examples"
START, GOAL = EXAMPLES / "start.png", EXAMPLES / "goal.png"


@pytest.fixture
def call(capsys, monkeypatch, tmp_path):
    """``call(...)``: what ``waymark plan`` prints in an empty folder, and the sentence it ends with."""
    monkeypatch.chdir(tmp_path)

    def waymark(*arguments: object) -> tuple[str, object]:
        monkeypatch.setattr(sys, "argv", ["waymark", "plan", *map(str, arguments)])
        ended: object = None
        try:
            main()
        except SystemExit as end:
            ended = end.code
        return capsys.readouterr().out, ended

    return waymark


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def test_draws_start_subgoals_and_goal_side_by_side(call, tmp_path):
    out, ended = call(START, GOAL, "--seed", 3)
    assert ended is None
    shown = pixels(tmp_path / "plan.png")
    assert shown.shape == (256, 8 * 256 + 7 * 4, 3)
    assert (shown[::4, :256:4] == pixels(START)).all()
    assert (shown[::4, -256::4] == pixels(GOAL)).all()
    assert [path.name for path in tmp_path.iterdir()] == ["plan.png"]
    lines = out.splitlines()
    assert "keyin-push, seed 3" in lines[0]
    assert sum("subgoal" in line and "frame" in line for line in lines) == 6
    assert lines[-1] == "written: plan.png"


def test_the_shipped_picture_is_what_the_command_draws(call, tmp_path):
    call(START, GOAL)
    difference = pixels(tmp_path / "plan.png").astype(int) - pixels(EXAMPLES / "plan.png")
    # Another processor may round otherwise.
    assert np.abs(difference).mean() < 5


def test_one_seed_one_plan(tmp_path):
    def planned(seed: int) -> np.ndarray:
        return plan(PlanPictures(START, GOAL, out=tmp_path / "plan.png", seed=seed)).pictures

    first = planned(1)
    assert (first == planned(1)).all()
    assert (first != planned(2)).any()


@pytest.mark.slow
def test_a_server_plans_the_same(tmp_path):
    outcome = plan(PlanPictures(START, GOAL, out=tmp_path / "plan.png", seed=4))
    with running_server("keyin-push", threads=1) as url, Client(url) as client:
        reply = client.plan(pixels(START), pixels(GOAL), seed=4)
    assert (reply.images == outcome.pictures).all()
    assert reply.response.cost == outcome.cost


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((START, "none.png"), "none.png cannot be read: No such file or directory; name a PNG or JPEG"),
        ((START, "."), ". cannot be read: Is a directory; name a PNG or JPEG"),
        ((START, EXAMPLES / "plan.sh"), "plan.sh is not a PNG or JPEG picture."),
        ((START, EXAMPLES / "plan.png"), "plan.png is 2076 x 256 pixels; this model needs 64 x 64."),
        ((START, GOAL, "--model", "keyin"), "there is no model 'keyin'; planners that ship: keyin-push, "),
        ((START, GOAL, "--model", "svg-lp-digits"), "svg-lp-digits does not plan; planners that ship: keyin"),
        ((START, GOAL, "--device", "tpu"), "device 'tpu' is not available here; cpu always is"),
        ((START, GOAL, "--out", "plan.jpg"), "--out is to be a PNG file such as plan.png, not plan.jpg"),
        ((START, GOAL, "--out", START / "plan.png"), "plan.png cannot be written: "),
        ((START, GOAL, "--seed", -1), "--seed must be 0 to 9223372036854775807, not -1"),
        ((START, GOAL, "--samples", 1), f"--samples must be 2 to {MAX_KEYFRAMES}, not 1"),
        ((START, GOAL, "--iterations", 0), f"--iterations must be 1 to {MAX_KEYFRAMES}, not 0"),
        ((START, GOAL, "--samples", MAX_KEYFRAMES), f"one request may take {MAX_KEYFRAMES}. Lower samples, "),
    ],
)  # fmt: skip
def test_one_clear_sentence(call, tmp_path, arguments, sentence):
    out, ended = call(*arguments)
    assert not out
    assert sentence in str(ended)
    assert "\n" not in str(ended)
    assert not [*tmp_path.iterdir()]


def test_says_what_a_picture_lacks_and_leaves_the_old_picture(call, tmp_path):
    empty = pixels(START).copy()
    reddish = empty[..., 0].astype(int) - empty[..., 1] > 40
    empty[reddish] = np.median(empty, axis=(0, 1))
    assert 10 < reddish.sum() < 200
    Image.fromarray(empty).save(tmp_path / "empty.png")
    Image.fromarray(np.zeros_like(empty)).save(tmp_path / "black.png")
    (tmp_path / "plan.png").write_bytes(b"old")
    for pictures, name in (((START, "empty.png"), "goal"), (("empty.png", GOAL), "start")):
        out, ended = call(*pictures)
        assert not out
        assert ended == (
            f"No puck was found in the {name} picture: 0 pixels have its colour, at least 10 are needed."
        )
        assert (tmp_path / "plan.png").read_bytes() == b"old"
    _, ended = call("black.png", GOAL)
    assert str(ended).startswith("The start picture shows something that this model has never seen")
