"""Learning curves beside published ones: which runs, which figures, and what is refused."""

import json

import numpy as np
import pytest
from torch import nn

from planner.practice.compare import Compare, compare
from planner.practice.published import SOURCES, published
from world_models.checkpoint import read_model, write_model
from world_models.data import DataError, Sequences, shard_path, write_shard
from world_models.keyin.config import KeyInConfig

RETURNS = (100.0, 150.0, 700.0)


def make_run(folder, task, returns=RETURNS):
    """What a run of practice leaves: its settings, and episodes with their mean returns."""
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps({"data": {"practice": {"task": task}}}))
    frames, none, flags = (
        np.zeros((1, 3, *shape), kind)
        for shape, kind in (((1, 1, 1), np.uint8), ((0,), np.float32), ((), bool))
    )
    for index, mean_return in enumerate(returns):
        model = "round" if index else "random"
        attributes = {"environment_steps": 5000, "mean_return": mean_return, "model": model}
        sequences = Sequences(frames, none[:, 1:], flags, none)
        write_shard(shard_path(folder / "episodes" / task, index), sequences, attributes)
    return folder


def evaluation(path, task, weights, maker="planner.evaluate dmc"):
    """What an evaluation of a model with these weights leaves."""
    earned = {"episodes": 20, "return_mean": 900.0, "return_ci95": [880.0, 920.0]}
    content = {
        "made_by": maker,
        "table": "| a |",
        "rows": [{"task": task, "arm": "learned", **earned}],
        "settings": {task: {"learned": {"weights_sha256": weights}}},
    }
    path.write_text(json.dumps(content))
    return path


def test_runs_stand_beside_what_others_published_in_their_task(tmp_path):
    runs = (
        make_run(tmp_path / "a", "walker-walk"),
        make_run(tmp_path / "b", "walker-walk"),
        make_run(tmp_path / "c", "acrobot-swingup"),
    )
    content = compare(Compare(runs, out=tmp_path / "learning.png"))
    assert (tmp_path / "learning.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((tmp_path / "learning.json").read_text()) == json.loads(json.dumps(content))
    assert {task: len(found["runs"]) for task, found in content["tasks"].items()} == {
        "walker-walk": 2,
        "acrobot-swingup": 1,
    }
    points = content["tasks"]["walker-walk"]["runs"][0]["points"]
    assert [(point["steps"], point["mean_return"]) for point in points] == [
        (5000, 100.0),
        (10_000, 150.0),
        (15_000, 700.0),
    ]
    assert [point["random"] for point in points] == [True, False, False]
    others = {figure["agent"] for figure in content["tasks"]["walker-walk"]["published"]}
    assert "PlaNet" in others and others <= set(content["sources"])


def test_the_finished_model_is_the_one_that_was_evaluated(tmp_path):
    run = make_run(tmp_path / "a", "walker-walk")
    write_model(run / "model", KeyInConfig(), nn.Linear(1, 1), "# Card\n")
    own = read_model(run / "model").weights_digest
    for weights, earned in ((own, 900.0), ("ab" * 32, None)):
        results = evaluation(tmp_path / "dmc.json", "walker-walk", weights)
        content = compare(Compare((run,), evaluated=(results,), out=tmp_path / "learning.png"))
        found = content["tasks"]["walker-walk"]["runs"][0]["earned"]
        assert (found and found["return_mean"]) == earned


def test_what_is_no_run_and_what_has_no_place_is_refused(tmp_path):
    run = make_run(tmp_path / "a", "walker-walk")
    other = evaluation(tmp_path / "push.json", "walker-walk", "ab" * 32, maker="planner.evaluate push")
    dmc = evaluation(tmp_path / "learning.json", "walker-walk", "ab" * 32)
    out = tmp_path / "learning.png"
    for settings, words in (
        (Compare((), out=out), "say which runs"),
        (Compare((tmp_path,), out=out), "no run of world_models.train dmc-control"),
        (Compare((run,), out=tmp_path / "learning.jpg"), r"end in \.png"),
        (Compare((run,), evaluated=(other,), out=out), "give results of planner.evaluate dmc"),
        (Compare((run,), evaluated=(dmc,), out=out), "would overwrite"),
    ):
        with pytest.raises(ValueError, match=words):
            compare(settings)
    with pytest.raises(DataError):
        compare(Compare((make_run(tmp_path / "b", "walker-walk", ()),), out=out))
    assert not out.exists()


def test_every_published_figure_is_a_return_and_says_where_it_is_from():
    figures = [
        figure for task in ("walker-walk", "cheetah-run", "cartpole-balance") for figure in published(task)
    ]
    assert {figure.agent for figure in figures} == set(SOURCES)
    assert all(0 <= figure.mean_return <= 1000 and figure.steps >= 100_000 for figure in figures)
    assert list(published("humanoid-run")) == []
