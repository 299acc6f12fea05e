from functools import partial

import numpy as np
import pytest
import torch

from world_models.action_recognition import training
from world_models.action_recognition.labelled_features import Labelled, read_labelled, write_features
from world_models.action_recognition.model import ActionClassifier, accuracy, predict
from world_models.action_recognition.recipe import ActionRecipe, ActionRun
from world_models.action_recognition.run import train_action_recognition
from world_models.action_recognition.training import fit_classifier
from world_models.checkpoint import CheckpointError, read_model, write_model
from world_models.data import DataError, SequenceDataset, Sequences, shard_path, write_shard
from world_models.training import fit
from world_models.training.fit import FitConfig
from world_models.training.run import Session

RECIPE = ActionRecipe(width=16, epochs=8, batch=16)


def turning(count, seed):
    """A point on a circle that turns left or right at its own speed: the last frame alone tells nothing."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count)
    speeds = rng.uniform(0.3, 0.8, count) * (2 * labels - 1)
    angles = rng.uniform(-np.pi, np.pi, count)[:, None] + speeds[:, None] * np.arange(8)
    points = np.stack([np.cos(angles), np.sin(angles)], axis=-1) + 0.05 * rng.standard_normal((count, 8, 2))
    groups = np.arange(count) // 4
    return Labelled((3.0 + 10.0 * points).astype(np.float32), labels, ("right", "left"), groups)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    session = Session(tmp_path_factory.mktemp("run"), 0, torch.device("cpu"))
    return fit_classifier(turning(240, 0), RECIPE, session)


def test_tells_directions_of_rotation_apart(trained):
    assert accuracy(trained, turning(300, 1)) > 0.9
    mirrored = turning(300, 1)
    assert (
        accuracy(trained, Labelled(mirrored.features[:, ::-1].copy(), *list(vars(mirrored).values())[1:]))
        < 0.1
    )


def test_the_same_seed_gives_the_same_classifier(trained, tmp_path):
    recipe = RECIPE.model_copy(update={"epochs": 1})
    weights = []
    for seed in (0, 0, 1):
        session = Session(tmp_path / str(len(weights)), seed, torch.device("cpu"))
        session.folder.mkdir()
        weights.append(fit_classifier(turning(240, 0), recipe, session).last.weight)
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


def test_units_are_left_out_in_training_only(trained):
    features = torch.from_numpy(turning(4, 2).features)
    assert torch.equal(trained(features), trained(features))
    generator = torch.Generator().manual_seed(0)
    assert (trained(features, generator) - trained(features, generator)).abs().min() > 0
    units = torch.ones(2, 10000)
    dropped = trained._drop(units, generator)
    assert (dropped == 0).float().mean() == pytest.approx(0.25, abs=0.02)
    assert dropped.mean() == pytest.approx(1.0, abs=0.02)


def test_sequences_do_not_influence_each_other(trained):
    features = torch.from_numpy(turning(5, 2).features)
    torch.testing.assert_close(trained(features)[2:3], trained(features[2:3]))


def test_survives_the_disk(trained, tmp_path):
    write_model(tmp_path / "model", trained.config, trained, "")
    loaded = ActionClassifier.load(tmp_path / "model")
    features = turning(100, 3).features
    assert loaded.config.classes == ("right", "left")
    assert (predict(loaded, features) == predict(trained, features)).mean() > 0.98
    write_model(tmp_path / "model", FitConfig(steps=1, batch=1), trained, "")
    with pytest.raises(CheckpointError, match="no ActionClassifierConfig"):
        ActionClassifier.load(tmp_path / "model")


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": np.zeros((6, 8), np.float32)}, r"features must be float32 \[n, T, F\]"),
        ({"features": np.zeros((6, 8, 2))}, "got float64"),
        ({"features": np.full((6, 8, 2), np.nan, np.float32)}, "finite"),
        ({"labels": np.zeros(5, np.int64)}, r"labels must be int64 \[6\], got int64 with shape \(5,\)"),
        ({"labels": np.zeros(6, np.float32)}, "labels must be int64"),
        ({"labels": np.full(6, 2)}, "labels must be 0 to 1, one per class, got 2 to 2"),
        ({"labels": np.full(6, -1)}, "got -1 to -1"),
        ({"classes": ("one",)}, "at least two classes"),
        ({"groups": np.zeros(7, np.int64)}, "groups must be int64"),
    ],
)
def test_malformed_sets_are_refused(change, message):
    fields = vars(turning(6, 0)) | change
    with pytest.raises(DataError, match=message):
        Labelled(**fields)


def test_other_features_or_classes_than_learned_are_refused(trained):
    with pytest.raises(DataError, match=r"reads float32 features \[n, T, 2\]"):
        predict(trained, np.zeros((1, 8, 3), np.float32))
    other = Labelled(**(vars(turning(6, 0)) | {"classes": ("up", "down")}))
    with pytest.raises(DataError, match="right"):
        accuracy(trained, other)


def test_groups_are_not_split():
    labelled = turning(200, 0)
    known, tested = labelled.split(0.24, np.random.default_rng(0))
    assert len(tested) == 48 and len(known) == 152
    assert not set(known.groups.tolist()) & set(tested.groups.tolist())
    other = labelled.split(0.24, np.random.default_rng(1))[1]
    assert not np.array_equal(np.unique(tested.groups), np.unique(other.groups))
    assert labelled.split(0.0, np.random.default_rng(0))[1] is None
    with pytest.raises(DataError, match="1 groups"):
        turning(4, 0).split(0.24, np.random.default_rng(0))


def save(path, labelled, *names):
    np.savez(path, **{name: getattr(labelled, name) for name in names})


def test_a_killed_run_ends_with_the_same_classifier(tmp_path, monkeypatch):
    save(tmp_path / "set.npz", turning(40, 0), "features", "labels", "classes", "groups")
    recipe = ActionRecipe(width=4, epochs=2, batch=4)
    monkeypatch.setattr(training, "FitConfig", partial(FitConfig, save_every=5))
    run = ActionRun(features=tmp_path / "set.npz", out=tmp_path / "whole", recipe=recipe)
    folder = train_action_recognition(run, "command")
    card = read_model(folder).card
    assert "| training |" in card and "| 12 |" in card and "right, left" in card and "`command`" in card
    save_training = fit.save_training

    def save_and_die(path, step, *rest):
        save_training(path, step, *rest)
        assert step == 5  # of 14
        raise KeyboardInterrupt

    killed = run.model_copy(update={"out": tmp_path / "killed"})
    with monkeypatch.context() as patch:
        patch.setattr(fit, "save_training", save_and_die)
        with pytest.raises(KeyboardInterrupt):
            train_action_recognition(killed, "command")
    again = train_action_recognition(killed, "command")
    assert (again / "MANIFEST.json").read_bytes() == (folder / "MANIFEST.json").read_bytes()
    with pytest.raises(ValueError, match="other seed; choose another --out"):
        train_action_recognition(killed.model_copy(update={"seed": 1}), "command")


def test_a_run_does_not_go_on_with_another_set(tmp_path):
    path, recipe = tmp_path / "set.npz", ActionRecipe(width=4, epochs=1, batch=4)
    run = ActionRun(features=path, out=tmp_path / "run", recipe=recipe)
    for _ in range(2):  # the second goes on from the first
        save(path, turning(40, 0), "features", "labels")
        train_action_recognition(run, "command")
    save(path, turning(40, 1), "features", "labels")
    with pytest.raises(ValueError, match=r"holds a run with other data\.sha256; choose another --out"):
        train_action_recognition(run, "command")


def test_names_and_groups_may_be_left_out(tmp_path):
    save(tmp_path / "set.npz", turning(10, 0), "features", "labels")
    found = read_labelled(tmp_path / "set.npz")
    assert found.classes == ("0", "1") and found.groups.tolist() == list(range(10))


def test_files_that_are_no_labelled_sets_are_refused(tmp_path):
    with pytest.raises(DataError, match="features` and `labels"):
        read_labelled(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("text")
    with pytest.raises(DataError, match="no readable npz"):
        read_labelled(tmp_path / "text.npz")
    save(tmp_path / "half.npz", turning(6, 0), "features", "groups")
    with pytest.raises(DataError, match="lacks labels; it holds features, groups"):
        read_labelled(tmp_path / "half.npz")
    np.savez(tmp_path / "objects.npz", features=np.array([{}]), labels=np.zeros(1))
    with pytest.raises(DataError, match="no readable npz"):
        read_labelled(tmp_path / "objects.npz")


def test_features_of_labelled_shards(tmp_path):
    frames = np.arange(3 * 2 * 4, dtype=np.uint8).reshape(3, 2, 4, 1, 1, 1).repeat(3, -1)
    for index, action in enumerate(("Walking", "Eating", "Walking")):
        empty = np.zeros((2, 4, 0), np.float32)
        sequences = Sequences(frames[index], empty[:, 1:], np.zeros((2, 4), bool), empty)
        write_shard(shard_path(tmp_path, index), sequences, {"action": action})
    path, device = tmp_path / "set.npz", torch.device("cpu")
    write_features(path, SequenceDataset(tmp_path), lambda x: 255 * x[:, :2, 0, 0], 3, device)
    found = read_labelled(path)
    assert found.classes == ("Eating", "Walking") and found.labels.tolist() == [1, 1, 0, 0, 1, 1]
    assert found.groups.tolist() == [0, 0, 1, 1, 2, 2] and found.features.shape == (6, 3, 2)
    np.testing.assert_allclose(found.features[3, :, 0], [12, 13, 14], atol=1e-4)
    write_shard(shard_path(tmp_path, 3), sequences, {})
    with pytest.raises(DataError, match="no attribute `action`"):
        write_features(path, SequenceDataset(tmp_path), lambda x: x.flatten(1), 3, device)
