"""The table of action recognition: known answers, and runs whose features say everything or nothing."""

import json
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from world_models import evaluate
from world_models.action_recognition.evaluation import evaluation, figures
from world_models.action_recognition.evaluation.evaluation import ActionEvaluation, evaluate_actions
from world_models.action_recognition.evaluation.figures import confusion_matrices
from world_models.action_recognition.evaluation.table import confusion, summarise
from world_models.action_recognition.recipe import ActionRecipe
from world_models.checkpoint import write_model
from world_models.data import SEQUENCES_OF_EPISODES, DataError, Sequences, shard_path, write_shard
from world_models.files import save_array
from world_models.struct_vrnn.model import StructVRNN
from world_models.struct_vrnn.presets import DEBUG
from world_models.training.run import Session

RECIPE = DEBUG.model_copy(
    update={"held_out": 80, "model": DEBUG.model.model_copy(update={"actions": 0, "hidden": 8})}
)
HEAD = ActionRecipe(width=8, epochs=12, batch=8, test=0.25)


def test_intervals_are_over_episodes_and_differences_are_paired():
    labels, episodes = np.tile([0, 1], 50), np.repeat(np.arange(20), 5)
    right = [labels, np.where(episodes < 4, 1 - labels, labels)]
    rows = [{"arm": "struct-vrnn", "seed": seed, "answers": right[seed]} for seed in (0, 1)]
    rows.append({"arm": "cnn-vrnn", "seed": 0, "answers": np.where(episodes < 10, 1 - labels, labels)})
    summary = summarise(rows, labels, episodes)
    assert summary["chance"] == 0.5 and summary["arms"]["struct-vrnn"]["correct"] == pytest.approx(0.9)
    low, high = summary["arms"]["cnn-vrnn"]["ci95"]
    assert low < 0.32 and high > 0.68  # whole episodes are right or wrong: as wide as of 20 trials
    found = summary["against"]["cnn-vrnn"]
    assert found["more"] == pytest.approx(0.4) and 0 < found["ci95"][0] < 0.4 < found["ci95"][1]
    shares = confusion(rows, labels, 2)
    assert np.allclose(shares["struct-vrnn"], [[0.9, 0.1], [0.1, 0.9]])


def test_a_panel_says_what_the_table_says(monkeypatch, tmp_path):
    """Of three actions two are tested: the mean over all rows would be 50 %."""
    drawn = []
    monkeypatch.setattr(figures, "save_figure", lambda figure, *_, **__: drawn.append(figure))
    labels, answers = np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])
    rows = [{"arm": "struct-vrnn", "seed": 0, "answers": answers}]
    correct = {"struct-vrnn": float(np.mean(answers == labels))}
    confusion_matrices(confusion(rows, labels, 3), correct, ("sit", "stand", "lie"), tmp_path / "c.png")
    assert drawn[0].axes[0].get_title() == "struct-vrnn: 75 % right"


def test_runs_are_compared_on_the_same_sequences_only(job):
    folder = job.runs_folder / "cnn-vrnn-actions-0"
    recipe = RECIPE.model_copy(update={"held_out": 40}).model_dump(mode="json")
    (folder / "run.json").write_text(json.dumps({"seed": 0, "recipe": recipe}))
    with pytest.raises(ValueError, match=r"cnn-vrnn-actions-0 and .*hold out different numbers of sequences"):
        evaluate_actions(job, "")
    (folder / "run.json").unlink()
    with pytest.raises(ValueError, match="cnn-vrnn-actions-0 is no finished run"):
        evaluate_actions(job, "")


def write_data(folder, labelled=True):
    """Forty episodes of four sequences; the label is the episode's parity, the body stands accordingly."""
    episodes = np.repeat(np.arange(40), 4)
    states = np.zeros((160, 6, 4), np.float32)
    states[..., 0], states[..., 1] = (episodes % 2)[:, None], episodes[:, None]
    states[..., 2:] = 5.0 + 4.0 * (episodes % 2)[:, None, None]
    sequences = Sequences(
        np.random.default_rng(0).integers(0, 256, (160, 6, 16, 16, 3), np.uint8),
        np.zeros((160, 5, 0), np.float32),
        np.zeros((160, 6), bool),
        states,
    )
    attributes = {"observation": 2, "bodies": "head", SEQUENCES_OF_EPISODES: ",".join(["4"] * 40)}
    write_shard(shard_path(folder, 0), sequences, attributes | ({"classes": "sit,stand"} if labelled else {}))
    return folder


def write_run(folder, telling, seed=0):
    session = Session(folder, seed, torch.device("cpu"))
    with session.initial_weights():
        write_model(folder / "model", RECIPE.model, StructVRNN(RECIPE.model), "")
    (folder / "run.json").write_text(json.dumps({"seed": seed, "recipe": RECIPE.model_dump(mode="json")}))
    features = np.random.default_rng(seed).normal(size=(160, 6, 12)).astype(np.float32)
    features[..., 2] = 1.0
    if telling:
        features[..., 0] = np.repeat(np.arange(40) % 2, 4)[:, None] + 0.1 * features[..., 0]
    save_array(folder / "features" / "features.npy", features)


@pytest.fixture
def job(tmp_path):
    runs = tmp_path / "runs"
    write_run(runs / "struct-vrnn-actions-0", True)
    write_run(runs / "struct-vrnn-actions-1", True, seed=1)
    write_run(runs / "cnn-vrnn-actions-0", False)
    return ActionEvaluation(
        data=write_data(tmp_path / "data"),
        runs_folder=runs,
        out=tmp_path / "actions.json",
        plot=tmp_path / "confusion.png",
        observed=4,
        recipe=HEAD,
    )


def test_features_that_tell_are_found_and_classifiers_are_kept(job, monkeypatch):
    content = evaluate_actions(job, "the command")
    assert json.loads(job.out.read_text()) == content
    arms = content["summary"]["arms"]
    assert {arm: found["seeds"] for arm, found in arms.items()} == {
        "struct-vrnn": 2,
        "cnn-vrnn": 1,
        "true-bodies": 3,
    }
    assert arms["struct-vrnn"]["correct"] > 0.9 > 0.8 > arms["cnn-vrnn"]["correct"]
    assert arms["true-bodies"]["correct"] == 1.0
    protocol = content["protocol"]
    assert (protocol["tested"], protocol["episodes"], protocol["trained_on"]) == (20, 5, 60)
    assert "| struct-vrnn | 2 | " in content["table"] and "| most frequent action | - |" in content["table"]
    with Image.open(job.plot) as picture:
        assert picture.width > 900
    monkeypatch.setattr(evaluation, "fit_classifier", lambda *_: 1 / 0)
    assert evaluate_actions(job, "the command")["summary"] == content["summary"]
    with pytest.raises(ZeroDivisionError):
        evaluate_actions(job.model_copy(update={"observed": 3}), "")


def test_data_that_cannot_tell_is_refused(job, tmp_path):
    silent = write_data(tmp_path / "silent", labelled=False)
    with pytest.raises(DataError, match=r"has no labels; `python -m envs\.collect actions`"):
        evaluate_actions(job.model_copy(update={"data": silent}), "")
    with pytest.raises(DataError, match="has 6 frames, 7 are to be observed"):
        evaluate_actions(job.model_copy(update={"observed": 7}), "")
    with pytest.raises(ValueError, match=r"train struct-vrnn-actions --seed 0"):
        evaluate_actions(job.model_copy(update={"runs_folder": tmp_path / "none"}), "")


def test_the_command_prints_the_table(job, monkeypatch, capsys):
    words = [f"--{name.replace('_', '-')}={getattr(job, name)}" for name in ("data", "runs_folder", "out")]
    words += ["--observed=4", "--recipe.width=4", "--recipe.epochs=1"]
    monkeypatch.setattr(sys, "argv", ["evaluate", "actions", *words])
    evaluate.main()
    assert "| features of | seeds | correct |" in capsys.readouterr().out
