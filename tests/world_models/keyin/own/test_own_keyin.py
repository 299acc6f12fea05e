"""KeyIn on data of users: sizes from the data, a calibrated goal, a page of pictures."""

import json
from pathlib import Path

import pytest
import torch
from own_data import write_dots

from world_models.checkpoint import read_model
from world_models.goals import EmbeddingGoal
from world_models.keyin.model import KeyIn
from world_models.keyin.own.method import OWN_KEYIN
from world_models.keyin.own.plans import Pairs, Plans, draw_pairs, find_plans, straying
from world_models.keyin.own.preset import OWN, OWN_DEBUG, OwnKeyInRun, fit_to_data
from world_models.training.run import Session

UNIT = EmbeddingGoal(unit=1.0, reached=1.0, cycle_limit=1.0)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    run = OwnKeyInRun(data=write_dots(folder / "data"), out=folder / "run", recipe=OWN_DEBUG)
    return run, OWN_KEYIN.train(run, "train keyin")


def test_sizes_are_those_of_the_data(tmp_path):
    run = fit_to_data(OwnKeyInRun(data=write_dots(tmp_path, frames=31, size=96), out=tmp_path, recipe=OWN))
    model = run.recipe.model
    assert (model.frames, model.image_size, model.keyframes, model.max_offset) == (30, 96, 6, 8)
    assert run.recipe.held_out == 6, "the sequences for testing"
    short = fit_to_data(OwnKeyInRun(data=write_dots(tmp_path / "b", frames=7), out=tmp_path, recipe=OWN))
    assert (short.recipe.model.frames, short.recipe.model.max_offset) == (6, 6)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"count": 12}, "6 sequences to learn from"),
        ({"frames": 6}, "sequences of 6 frames, at least 7"),
        ({"size": 60}, "pictures of 60 x 60 x 3"),
    ],
)
def test_what_cannot_work_is_said_at_the_start(data, words, tmp_path):
    run = OwnKeyInRun(data=write_dots(tmp_path, **data), out=tmp_path / "run", recipe=OWN)
    with pytest.raises(ValueError, match=words):
        OWN_KEYIN.train(run, "")
    assert not (tmp_path / "run").exists()


def test_a_model_gets_a_calibrated_goal_and_a_page_of_pictures(trained):
    run, folder = trained
    stored = read_model(folder)
    assert isinstance(stored.goal, EmbeddingGoal) and stored.config["goal"] is None
    assert stored.goal.reached >= 1.0, "nine of ten steps are longer than the median one"
    assert (folder / "pictures.png").stat().st_size > 1000
    assert "pictures.png" in stored.card and "straying" in stored.card
    lines = [json.loads(line) for line in (run.out / "log.jsonl").read_text().splitlines()]
    tried = [line for line in lines if line["stage"] == "goal"]
    assert {line["match"] for line in tried} == {"last", "nearest"}
    best = min(tried, key=lambda line: line["straying"])
    assert (stored.goal.time_weight, stored.goal.prior_weight) == (best["time_weight"], best["prior_weight"])
    assert OWN_KEYIN.train(run, "again") == folder


def test_pictures_that_do_not_move_have_no_goal(tmp_path):
    run = OwnKeyInRun(data=write_dots(tmp_path, still=True), out=tmp_path / "run", recipe=OWN_DEBUG)
    with pytest.raises(ValueError, match="nothing moves"):
        OWN_KEYIN.train(run, "")


def test_goals_are_frames_that_were_recorded(tmp_path):
    held_out = torch.arange(5.0).repeat(3, 1)[..., None]
    pairs = draw_pairs(held_out, 20, 1, Session(Path(tmp_path), 0, torch.device("cpu")))
    assert (pairs.start == 0).all()
    assert torch.equal(pairs.goals[:, 0], pairs.ahead.float())
    assert set(pairs.ahead.tolist()) == {1, 2, 3, 4}


def test_straying_is_measured_frame_by_frame_and_who_arrives_waits():
    recorded = torch.tensor([1.0, 2.0, 3.0, 4.0]).repeat(3, 1)[..., None]
    pairs = Pairs(torch.zeros(3, 1, 1), recorded, torch.tensor([3, 3, 2]))
    planned = torch.tensor([[1.0, 2, 3, 9], [3, 9, 9, 9], [1, 2, 3, 4]])[..., None]
    plans = Plans(planned, torch.tensor([3, 1, 4]), torch.zeros(3, 1))
    # the same way; at once at the goal; two frames beyond it
    assert straying(UNIT, plans, pairs).tolist() == pytest.approx([0.0, (2 + 1 + 0) / 3, (0 + 0 + 1 + 2) / 4])


def test_a_search_finds_plans_that_end_nearer_the_goal(trained):
    _, folder = trained
    model = KeyIn.load(folder)
    embeddings = torch.randn(6, 13, 8, generator=torch.Generator().manual_seed(0))
    pairs = draw_pairs(embeddings, 6, 1, Session(folder, 0, torch.device("cpu")))
    few, many = (
        find_plans(model, UNIT, pairs, count, 3, torch.Generator().manual_seed(1)) for count in (2, 200)
    )
    assert UNIT.distance(many.last, pairs.goals).mean() < UNIT.distance(few.last, pairs.goals).mean()
    assert (many.ends >= 1).all() and (many.ends <= 12).all()
