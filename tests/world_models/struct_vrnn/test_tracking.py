"""Tracking errors on keypoints whose relation to positions is known, and the evaluation's contract."""

import json
import sys

import numpy as np
import pytest
import torch

from world_models import evaluate
from world_models.checkpoint import write_model
from world_models.data import DataError, SequenceDataset, Sequences, shard_path, write_shard
from world_models.files import save_array
from world_models.struct_vrnn.evaluation import evaluation
from world_models.struct_vrnn.evaluation.evaluation import TrackingEvaluation, evaluate_tracking
from world_models.struct_vrnn.evaluation.table import COLUMNS, markdown_tables, summarise_rows
from world_models.struct_vrnn.evaluation.tracking import (
    Regression,
    Truth,
    mean_future,
    read_truth,
    sample_futures,
    summarise,
    track,
)
from world_models.struct_vrnn.model import StructVRNN, weigh
from world_models.struct_vrnn.presets import DEBUG
from world_models.struct_vrnn.sequences import TaskData
from world_models.training.run import Session

TASKS = ("cart", "walker")
BODIES = ("hip", "foot", "hand")
RECIPE = DEBUG.model_copy(update={"held_out": 36, "model": DEBUG.model.model_copy(update={"tasks": TASKS})})
CPU = torch.device("cpu")


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def make_model(**changes):
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(torch.Generator().manual_seed(0).get_state())
        model = StructVRNN(RECIPE.model.model_copy(update=changes))
    return model.eval().requires_grad_(False)


def make_truth(features, fitted=30, seed=5):
    """Positions are a linear map of the keypoints' coordinates times scale."""
    places = weigh(features).unflatten(-1, (-1, 3))[..., :2].flatten(-2)
    positions = (places @ (8.0 * draw(8, 6, seed=seed)) + 30.0).unflatten(-1, (3, 2))
    actions = draw(len(features), features.shape[1] - 1, 2, seed=1)
    return Truth(actions, positions, np.zeros((0, 6, 16, 16, 3), np.uint8), BODIES, fitted)


@pytest.fixture(scope="module")
def tracked():
    """A model, what is true, what is detected, and the distances."""
    model, features = make_model(), draw(50, 6, 12)
    truth = make_truth(features)
    return model, truth, features, track(model, truth, features, 3, 20, torch.Generator().manual_seed(0))


def test_a_linear_map_is_found(tracked):
    _, truth, _, distances = tracked
    assert distances.detection.shape == (20, 6, 3)
    assert float(distances.detection.max()) < 0.01
    scores = summarise(distances, truth.bodies, 3)
    assert scores["n"] == 20 and scores["detection_error"] < 0.01


def test_keypoints_are_weighed_by_their_scale_and_vectors_are_not():
    features = draw(40, 6, 12)
    positions = 5.0 * weigh(features)[..., :4].unflatten(-1, (2, 2)) + 30.0
    for representation, found in (("keypoints", True), ("vector", False)):
        config = RECIPE.model.model_copy(update={"representation": representation})
        error = (Regression.fit(config, features, positions)(features) - positions).abs().max()
        assert (float(error) < 0.01) == found


def test_the_best_sample_is_the_best(tracked):
    model, truth, features, distances = tracked
    generator = torch.Generator().manual_seed(0)  # one chunk: the same futures again
    futures = sample_futures(model, features[30:], truth.actions[30:], 3, 20, generator)
    regression = Regression.fit(model.config, features[:30], truth.positions[:30])
    errors = (regression(futures) - truth.positions[30:, None, 3:]).norm(dim=-1)
    means = errors.mean((2, 3))
    assert torch.allclose(distances.best.mean((1, 2)), means.min(1).values)
    assert torch.allclose(distances.furthest.mean((1, 2)), means.max(1).values)
    assert (means.min(1).values < means.mean(1)).all()
    assert float(distances.diversity.min()) > 0
    mean = regression(mean_future(model, features[30:], truth.actions[30:], 3))
    assert torch.allclose(distances.mean, (mean - truth.positions[30:, 3:]).norm(dim=-1))


def test_held_positions_are_those_of_the_last_observed_frame(tracked):
    _, truth, _, distances = tracked
    moved = (truth.positions[30:, 3:] - truth.positions[30:, 2:3]).norm(dim=-1)
    assert torch.allclose(distances.hold, moved, atol=0.01)


def test_a_deterministic_model_has_one_future():
    features = draw(50, 6, 12)
    model, truth = make_model(stochastic=False), make_truth(features)
    distances = track(model, truth, features, 3, 20, torch.Generator().manual_seed(0))
    assert float(distances.diversity.abs().max()) == 0.0
    assert torch.equal(distances.best, distances.furthest)
    assert torch.allclose(distances.best, distances.mean, atol=1e-4)


def test_bodies_and_frames_keep_their_own_errors(tracked):
    _, truth, _, distances = tracked
    scores = summarise(distances, truth.bodies, 3)
    assert list(scores["per_body"]) == list(BODIES)
    bodies = [scores["per_body"][body]["trajectory_error"] for body in BODIES]
    assert np.mean(bodies) == pytest.approx(scores["trajectory_error"])
    assert bodies[1] == pytest.approx(float(distances.best[..., 1].mean()))
    assert len(scores["per_step"]["detection_error"]) == 6
    assert scores["per_step"]["hold_error"] == pytest.approx(distances.hold.mean((0, 2)).tolist())


def write_data(folder):
    """Forty sequences per task: features of a made-up detector, and positions that follow from them."""
    for task, name in enumerate(TASKS):
        features = draw(40, 6, 12, seed=10 + task)
        truth = make_truth(features)
        states = np.concatenate([np.zeros((40, 6, 4)), truth.positions.flatten(-2).numpy()], -1)
        sequences = Sequences(
            np.random.default_rng(task).integers(0, 256, (40, 6, 16, 16, 3), np.uint8),
            draw(40, 5, 1 + task, seed=3).numpy(),
            np.zeros((40, 6), bool),
            states.astype(np.float32),
        )
        write_shard(shard_path(folder / name, 0), sequences, {"observation": 4, "bodies": ",".join(BODIES)})
    return folder


def write_run(folder, seed, **changes):
    recipe = RECIPE.model_copy(update={"model": RECIPE.model.model_copy(update=changes)})
    session = Session(folder, seed, CPU)
    with session.initial_weights():
        model = StructVRNN(recipe.model)
        torch.nn.init.normal_(model.vision.painter.weight)  # zeros until it is trained
        write_model(folder / "model", recipe.model, model, "")
    (folder / "run.json").write_text(json.dumps({"seed": seed, "recipe": recipe.model_dump(mode="json")}))
    for task, name in enumerate(TASKS):
        save_array(folder / "features" / f"{name}.npy", draw(40, 6, 12, seed=10 + task).numpy())


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture
def job(data, tmp_path):
    runs = tmp_path / "runs"
    write_run(runs / "struct-vrnn-dmc-0", 0)
    write_run(runs / "struct-vrnn-dmc-1", 1)
    write_run(runs / "cnn-vrnn-dmc-0", 0, representation="vector")
    write_run(runs / "struct-vrnn-dmc-supervised-0", 0)
    return TrackingEvaluation(
        data=data,
        runs_folder=runs,
        out=tmp_path / "out.json",
        sequences=6,
        fitted=30,
        observed=3,
        samples=4,
        pictured=2,
        painted=3,
    )


def test_every_arm_task_and_seed_has_a_row(job):
    content = evaluate_tracking(job, "the command")
    assert json.loads(job.out.read_text()) == content
    rows = content["rows"]
    assert [(row["arm"], row["seed"], row["task"]) for row in rows] == [
        (arm, seed, task)
        for arm, seed in (("struct-vrnn", 0), ("struct-vrnn", 1), ("cnn-vrnn", 0), ("supervised", 0))
        for task in TASKS
    ]
    for row in rows:
        assert (row["n"], row["pictured"]) == (6, 2)
        assert row["arm"] == "cnn-vrnn" or row["detection_error"] < 0.01
        assert row["ssim_best"] > row["ssim_worst"]
        assert row["trajectory_error"] < row["furthest_error"]
        assert len(row["per_step"]["psnr_best"]) == len(row["per_step"]["diversity"]) == 3
    assert content["protocol"]["command"] == "the command"
    assert content["summary"]["over_supervised"]["supervised"]["cart"]["trajectory_error"] == 1.0
    figures = content["summary"]["arms"]["struct-vrnn"]
    low, high = figures["diversity_ci95"]
    assert 0 < low < figures["diversity"] < high and figures["video_distance"] is None
    table = markdown_tables(content)
    assert (
        table.count("\n| struct-vrnn | 2 |") == 3
        and "\n| struct-vrnn is better than |" in table
        and table.count("\n| cart | ") == len(BODIES)
    )


def test_scores_are_kept_as_long_as_they_hold(job, monkeypatch):
    first = evaluate_tracking(job, "")
    measured = []
    monkeypatch.setattr(
        evaluation, "_score", lambda run, task, *_: measured.append((run.folder.name, task.name))
    )
    assert evaluate_tracking(job, "") == first and not measured
    kept = job.runs_folder / "cnn-vrnn-dmc-0" / "tracking.json"
    content = json.loads(kept.read_text())
    del content["tasks"]["walker"]
    kept.write_text(json.dumps(content))
    with pytest.raises(TypeError):  # the fake scores are none
        evaluate_tracking(job, "")
    assert measured == [("cnn-vrnn-dmc-0", "walker")]


def test_new_weights_or_settings_are_measured_anew(job):
    kept = job.runs_folder / "struct-vrnn-dmc-1" / "tracking.json"
    one = job.model_copy(update={"runs": ("struct-vrnn-dmc-1",)})
    evaluate_tracking(one, "")
    first = json.loads(kept.read_text())
    evaluate_tracking(one.model_copy(update={"samples": 5}), "")
    second = json.loads(kept.read_text())
    assert second["tasks"]["cart"]["trajectory_error"] != first["tasks"]["cart"]["trajectory_error"]
    write_run(job.runs_folder / "struct-vrnn-dmc-1", 2)
    evaluate_tracking(one.model_copy(update={"samples": 5}), "")
    third = json.loads(kept.read_text())
    assert third["settings"]["weights"] != second["settings"]["weights"]
    assert third["tasks"]["cart"]["trajectory_error"] != second["tasks"]["cart"]["trajectory_error"]


def row(arm, seed, value, task="cart"):
    values = dict.fromkeys(COLUMNS, value)
    sequences = {name: [value - 0.1, value + 0.1] for name in COLUMNS}
    return {"arm": arm, "seed": seed, "task": task, "sequences": sequences, "video_distance": value} | values


def test_ratios_are_to_the_supervised_arm():
    rows = [row("a", 0, 2.0), row("a", 1, 4.0), row("supervised", 0, 2.0)]
    summary = summarise_rows(rows)
    assert summary["over_supervised"]["a"]["cart"]["detection_error"] == pytest.approx(1.5)
    assert summary["arms"]["a"]["diversity"] == 3.0
    assert summary["arms"]["a"]["diversity_ci95"] == pytest.approx((1.9, 4.1))
    assert summary["arms"]["a"]["video_distance_ci95"] == pytest.approx(12.706)
    assert summary["arms"]["supervised"]["video_distance_ci95"] is None
    assert summarise_rows(rows[:2])["over_supervised"] is None


def test_duels_count_tasks_intervals_and_seeds():
    """More error is worse, more similarity is better; here all columns are the same number."""
    ours = [row("struct-vrnn", seed, 1.0, task) for seed in (0, 1) for task in TASKS]
    theirs = [row("no-bom", seed, value, task) for seed, value in ((1, 2.0), (2, 0.9)) for task in TASKS]
    duel = summarise_rows([*ours, *theirs])["duels"]["no-bom"]
    assert duel["trajectory_error"] == {"tasks": 2, "apart": 0, "seeds": 1, "of_seeds": 1}
    assert duel["ssim_best"] == {"tasks": 0, "apart": 0, "seeds": 0, "of_seeds": 1}
    duel = summarise_rows([*ours, *(row("no-bom", 1, 2.0, task) for task in TASKS)])["duels"]["no-bom"]
    assert duel["trajectory_error"]["apart"] == 2


def test_what_cannot_be_measured_is_refused(job, data, tmp_path):
    with pytest.raises(ValueError, match="choose from struct-vrnn-dmc-0, struct-vrnn-dmc-1"):
        evaluate_tracking(job.model_copy(update={"runs": ("struct-vrnn-dmc-7",)}), "")
    with pytest.raises(ValueError, match="observed must be 1 to 5"):
        evaluate_tracking(job.model_copy(update={"observed": 6}), "")
    with pytest.raises(DataError, match="36 held-out sequences; 30 to fit and 7 to test are too many"):
        evaluate_tracking(job.model_copy(update={"sequences": 7}), "")
    task = TaskData("cart", SequenceDataset(data / "cart"), 4, 10, ())
    with pytest.raises(DataError, match="names no bodies"):
        read_truth(task, 3, 3, 1)


def test_the_command_prints_the_tables(job, monkeypatch, capsys):
    words = ["x", "struct-vrnn-dmc"]
    for name in ("data", "runs_folder", "out", "sequences", "fitted", "observed", "samples", "pictured"):
        words += [f"--{name.replace('_', '-')}", str(getattr(job, name))]
    words += ["--painted", "3", "--runs", "struct-vrnn-dmc-0", "cnn-vrnn-dmc-0", "--pictures", "p"]
    monkeypatch.setattr(sys, "argv", words)
    monkeypatch.chdir(job.out.parent)
    evaluate.main()
    assert "| trajectory error, px | seeds | cart | walker |" in capsys.readouterr().out
    assert json.loads(job.out.read_text())["summary"]["over_supervised"] is None
    names = {f"{arm}-{task}.png" for arm in ("struct-vrnn", "cnn-vrnn", "fan") for task in TASKS}
    assert {path.name for path in (job.out.parent / "p").iterdir()} == names
