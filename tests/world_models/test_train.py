"""Every stage of the debug recipe, killed and restarted, against one run that was not."""

import json
import shutil
import sys

import numpy as np
import pytest
import torch

from world_models.checkpoint import read_model
from world_models.data import DataError, Sequences, shard_path, write_shard
from world_models.keyin.evaluation import KeyInEvaluation, evaluate_keyin
from world_models.keyin.presets import KEYIN_DEBUG
from world_models.keyin.recipe import KeyInRun
from world_models.keyin.run import train_keyin
from world_models.tap.model import Tap
from world_models.tap.presets import TAP_PRESETS
from world_models.tap.recipe import TapRun
from world_models.tap.run import train_on_pictures
from world_models.train import main
from world_models.training import fit
from world_models.training.run import Session

STAGES = ("autoencoder", "interpolator", "coder", "predictor", "soft", "reader")


def write_data(folder, seed=0):
    """Two shards of five sequences: a square that moves to the right."""
    rng = np.random.default_rng(seed)
    for index in range(2):
        frames = np.full((5, 7, 16, 16, 3), 90, np.uint8)
        for row in range(5):
            x, y = rng.integers(0, 8, 2)
            for t in range(7):
                frames[row, t, y : y + 4, x + t // 2 : x + t // 2 + 4] = (204, 31, 191)
        keyframes = np.zeros((5, 7), bool)
        keyframes[:, [2, 4, 6]] = True
        actions = np.zeros((5, 6, 2), np.float32)
        states = np.zeros((5, 7, 4), np.float32)
        write_shard(shard_path(folder, index), Sequences(frames, actions, keyframes, states), {"seed": seed})
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    train_keyin(KeyInRun(data=data, out=out, recipe=KEYIN_DEBUG), "command")
    return out


def test_every_stage_trains_and_logs(finished):
    entries = [json.loads(line) for line in (finished / "log.jsonl").read_text().splitlines()]
    assert [entry["stage"] for entry in entries] == list(STAGES)
    assert all(np.isfinite(list(entry.values())[1:]).all() for entry in entries)


def test_the_card_says_what_was_done(finished):
    card = read_model(finished / "model").card
    assert "`command` (seed 0)" in card and "10 sequences" in card and "prior_keyframes_whole" in card


def test_interrupted_run_ends_with_the_same_bytes(data, finished, tmp_path, monkeypatch):
    kills = 0
    save = fit.save_training

    def save_and_die(path, step, *rest):
        nonlocal kills
        save(path, step, *rest)
        if step == 1:
            kills += 1
            raise KeyboardInterrupt

    monkeypatch.setattr(fit, "save_training", save_and_die)
    run = KeyInRun(data=data, out=tmp_path / "run", recipe=KEYIN_DEBUG)
    for _ in STAGES:
        with pytest.raises(KeyboardInterrupt):
            train_keyin(run, "command")
    train_keyin(run, "command")
    assert kills == len(STAGES)
    for name in ("model.safetensors", "card.md", "MANIFEST.json"):
        assert (run.out / "model" / name).read_bytes() == (finished / "model" / name).read_bytes(), name


def test_finished_stages_are_skipped(data, finished, monkeypatch):
    before = (finished / "log.jsonl").read_bytes()
    train_keyin(KeyInRun(data=data, out=finished, recipe=KEYIN_DEBUG), "command")
    assert (finished / "log.jsonl").read_bytes() == before


def test_another_seed_gives_another_model(data, finished, tmp_path):
    train_keyin(KeyInRun(data=data, out=tmp_path / "run", seed=1, recipe=KEYIN_DEBUG), "command")
    assert read_model(tmp_path / "run" / "model").digest != read_model(finished / "model").digest


def test_a_folder_of_another_run_is_not_overwritten(data, finished):
    with pytest.raises(ValueError, match="other seed"):
        train_keyin(KeyInRun(data=data, out=finished, seed=5, recipe=KEYIN_DEBUG), "command")


def test_a_changed_stage_can_be_done_again_without_the_earlier_ones(data, finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    weak = KEYIN_DEBUG.predictor.model_copy(update={"beta": 0.25})
    run = KeyInRun(data=data, out=tmp_path / "run", recipe=KEYIN_DEBUG.model_copy(update={"predictor": weak}))
    with pytest.raises(
        ValueError, match=r"delete predictor\.safetensors, soft\.safetensors, reader\.safetensors there"
    ):
        train_keyin(run, "command")
    for name in ("predictor", "soft", "reader"):
        (run.out / f"{name}.safetensors").unlink()
    train_keyin(run, "command")
    entries = [json.loads(line)["stage"] for line in (run.out / "log.jsonl").read_text().splitlines()]
    assert entries[len(STAGES) :] == ["predictor", "soft", "reader"]
    assert read_model(run.out / "model").digest != read_model(finished / "model").digest


def test_a_changed_goal_is_stored_without_training_again(data, finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    model = KEYIN_DEBUG.model.model_copy(update={"goal": None})
    recipe = KEYIN_DEBUG.model_copy(update={"model": model, "reader": None})
    with pytest.raises(ValueError, match=r"delete reader\.safetensors there"):
        train_keyin(KeyInRun(data=data, out=tmp_path / "run", recipe=recipe), "command")
    (tmp_path / "run" / "reader.safetensors").unlink()
    train_keyin(KeyInRun(data=data, out=tmp_path / "run", recipe=recipe), "command")
    stored, before = read_model(tmp_path / "run" / "model"), read_model(finished / "model")
    assert stored.config["goal"] is None and before.config["goal"] is not None
    assert stored.weights_digest == before.weights_digest
    assert (tmp_path / "run" / "log.jsonl").read_bytes() == (finished / "log.jsonl").read_bytes()


def test_models_can_be_built_on_another_runs_pictures(data, finished, tmp_path):
    """Jumpy and Surprise: another teacher, everything before it shared, nothing of it trained again."""
    for method, extra in (("constant", []), ("surprise", ["svg"])):
        teacher = KEYIN_DEBUG.teacher.model_copy(update={"method": method, "constant": 2})
        taught = KEYIN_DEBUG.model.model_copy(update={"segmentation": None})
        recipe = KEYIN_DEBUG.model_copy(update={"model": taught, "teacher": teacher})
        run = KeyInRun(data=data, out=tmp_path / method, base=finished, seed=3, recipe=recipe)
        train_keyin(run, "command")
        entries = [json.loads(line)["stage"] for line in (run.out / "log.jsonl").read_text().splitlines()]
        assert entries == [*extra, "predictor", "soft", "reader"]
        weights, base = read_model(run.out / "model").weights, read_model(finished / "model").weights
        shared = [name for name in weights if name.startswith(("autoencoder", "interpolator"))]
        assert shared and all(torch.equal(weights[name], base[name]) for name in shared)
    assert (np.load(tmp_path / "constant" / "teacher.npy") == 2).all()


def test_a_base_with_other_pictures_is_refused(data, finished, tmp_path):
    autoencoder = KEYIN_DEBUG.autoencoder.model_copy(update={"noise": 0.5})
    recipe = KEYIN_DEBUG.model_copy(update={"autoencoder": autoencoder})
    run = KeyInRun(data=data, out=tmp_path / "run", base=finished, recipe=recipe)
    with pytest.raises(ValueError, match=r"recipe\.autoencoder\.noise"):
        train_keyin(run, "command")
    with pytest.raises(ValueError, match="no finished run"):
        train_keyin(run.model_copy(update={"base": tmp_path, "recipe": KEYIN_DEBUG}), "command")


def test_unfit_data_is_refused(data, tmp_path):
    with pytest.raises(DataError, match="no data folder"):
        train_keyin(KeyInRun(data=tmp_path / "none", out=tmp_path / "run", recipe=KEYIN_DEBUG), "command")
    long = KEYIN_DEBUG.model_copy(update={"model": KEYIN_DEBUG.model.model_copy(update={"frames": 8})})
    with pytest.raises(ValueError, match="frames"):
        train_keyin(KeyInRun(data=data, out=tmp_path / "run", recipe=long), "command")
    greedy = KEYIN_DEBUG.model_copy(update={"held_out": 10})
    with pytest.raises(ValueError, match="held out"):
        train_keyin(KeyInRun(data=data, out=tmp_path / "run", recipe=greedy), "command")
    assert not (tmp_path / "run").exists()


def test_evaluation_reproduces_the_figures_of_training(data, finished, tmp_path):
    job = KeyInEvaluation(model=finished / "model", data=data, out=tmp_path / "keyin.json", sequences=2)
    figures = evaluate_keyin(job)
    assert json.loads((tmp_path / "keyin.json").read_text()) == figures
    assert json.loads((finished / "figures.json").read_text()) == figures


def test_the_command_line_overrides_a_preset(data, tmp_path, monkeypatch, capsys):
    arguments = [
        "keyin-debug",
        "--data",
        str(data),
        "--out",
        str(tmp_path / "run"),
        "--recipe.soft.steps",
        "0",
    ]
    monkeypatch.setattr(sys, "argv", ["train", *arguments])
    main()
    assert "## Figures" in capsys.readouterr().out
    assert not (tmp_path / "run" / "soft.safetensors").exists()
    assert read_model(tmp_path / "run" / "model").config["kind"] == "keyin"


def test_seeds_are_runs_of_their_own_and_as_if_each_were_alone(
    data, finished, tmp_path, monkeypatch, jobs_here, capsys
):
    words = ["keyin-debug", "--data", str(data), "--out", str(tmp_path / "run"), "--seeds", "0,1"]
    monkeypatch.setattr(sys, "argv", ["train", *words])
    main()
    first, second = (tmp_path / f"run-{seed}" / "model" for seed in (0, 1))
    assert capsys.readouterr().out == f"model: {first}\nmodel: {second}\n"
    assert read_model(first).weights_digest == read_model(finished / "model").weights_digest
    assert read_model(second).weights_digest != read_model(first).weights_digest
    assert f"--seed 1 --out {tmp_path / 'run'}-1" in (second / "card.md").read_text()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["keyin-debug", "--seeds", "0,0"], "--seeds must be different numbers"),
        (["keyin-debug", "--seeds", "one"], "--seeds must be different numbers"),
        (["keyin-debug", "--seeds", "0,1", "--workers", "0"], "--workers must be at least 1"),
        (["rewards", "--seeds", "0,1", "--run", "nowhere"], "leave out --seeds"),
        (["keyin-debug", "--ray"], "say which with --seeds"),
    ],
)
def test_seeds_that_cannot_be_trained_are_refused(words, sentence, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["train", *words])
    with pytest.raises(SystemExit, match=sentence):
        main()


def test_tap_trains_on_the_pictures_of_a_finished_run_and_resumes(data, finished, tmp_path, monkeypatch):
    recipe = TAP_PRESETS["tap-debug"][1]
    run = TapRun(data=data, base=finished, out=tmp_path / "tap", recipe=recipe)
    tap = Tap.load(train_on_pictures(run, "command"))
    assert tap.config.embedding == KEYIN_DEBUG.model.embedding
    assert np.load(run.out / "goals.npy").shape == (8, KEYIN_DEBUG.model.embedding)
    assert "`command` (seed 0)" in read_model(run.out / "model").card

    save = fit.save_training

    def save_and_die(path, step, *rest):
        save(path, step, *rest)
        if step == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(fit, "save_training", save_and_die)
    again = run.model_copy(update={"out": tmp_path / "again"})
    with pytest.raises(KeyboardInterrupt):
        train_on_pictures(again, "command")
    train_on_pictures(again, "command")
    weights = [(out / "model" / "model.safetensors").read_bytes() for out in (run.out, again.out)]
    assert weights[0] == weights[1]
    with pytest.raises(ValueError, match="other seed; choose another --out"):
        train_on_pictures(again.model_copy(update={"seed": 5}), "command")
    with pytest.raises(ValueError, match="no finished run to build on"):
        train_on_pictures(run.model_copy(update={"base": tmp_path}), "command")


def test_tap_does_not_go_on_with_other_data_or_another_base(data, finished, tmp_path):
    run = TapRun(data=data, base=finished, out=tmp_path / "tap", recipe=TAP_PRESETS["tap-debug"][1])
    train_on_pictures(run, "command")
    other = write_data(tmp_path / "other", seed=1)
    base = tmp_path / "base"
    train_keyin(KeyInRun(data=other, out=base, recipe=KEYIN_DEBUG), "command")
    kept = (run.out / "run.json").read_bytes()
    with pytest.raises(ValueError, match=r"holds a run with other base\.autoencoder.*, data\.shards; choose"):
        train_on_pictures(run.model_copy(update={"data": other, "base": base}), "command")
    assert (run.out / "run.json").read_bytes() == kept
    with pytest.raises(ValueError, match=r"trained with other data\.shards; choose another --base"):
        train_on_pictures(run.model_copy(update={"data": other}), "command")


def test_initial_weights_come_from_the_seed_alone(tmp_path):
    def draw(seed):
        with Session(tmp_path, seed, torch.device("cpu")).initial_weights():
            return torch.nn.Linear(3, 3).weight

    state = torch.get_rng_state()
    first = draw(1)
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(1)  # somebody else draws in between
    assert torch.equal(first, draw(1)) and not torch.equal(first, draw(2))
