"""Training SVG on pictures: every stage, killed and restarted; building on another run; refusals."""

import json

import numpy as np
import pytest
import torch

from world_models.checkpoint import read_model
from world_models.data import DataError, SequenceDataset, Sequences, shard_path, write_shard
from world_models.svg import SVG
from world_models.svg.latent_training import SVGStage
from world_models.svg.presets import DEBUG
from world_models.svg.recipe import SVGRun
from world_models.svg.run import train_svg_model
from world_models.svg.training import picture_error
from world_models.svg.videos import open_videos, read_held_out, read_known
from world_models.training import fit

STAGES = ["vision", "svg"]
DETERMINISTIC = DEBUG.model.recurrent.model_copy(update={"prior": "none", "latent": 0})


def write_videos(folder, count, length=7, actuators=0, seed=0):
    """A bright square that moves to the right."""
    rng = np.random.default_rng(seed)
    frames = np.zeros((count, length, 16, 16, 1), np.uint8)
    for row in range(count):
        x, y = rng.integers(0, 8, 2)
        for t in range(length):
            frames[row, t, y : y + 4, x + t // 2 : x + t // 2 + 4] = 250
    actions = rng.uniform(-1, 1, (count, length - 1, actuators)).astype(np.float32)
    states = np.zeros((count, length, 1), np.float32)
    sequences = Sequences(frames, actions, np.zeros((count, length), bool), states)
    write_shard(shard_path(folder, 0), sequences, {"seed": seed})


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits")
    write_videos(folder / "1", 5, seed=1)
    write_videos(folder / "2", 6, seed=2)
    return folder


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    train_svg_model(SVGRun(data=data, out=out, recipe=DEBUG), "command")
    return out


def change(recipe, **parts):
    return recipe.model_copy(
        update={name: getattr(recipe, name).model_copy(update=fields) for name, fields in parts.items()}
    )


def test_every_stage_trains_what_it_should(data, finished):
    entries = [json.loads(line) for line in (finished / "log.jsonl").read_text().splitlines()]
    assert [entry["stage"] for entry in entries] == STAGES
    stored = read_model(finished / "model")
    with fit.Session(finished, 0, torch.device("cpu")).initial_weights():
        start = SVG(DEBUG.model).state_dict()
    matrices = [name for name in start if name.endswith("weight")]
    assert not [name for name in matrices if torch.equal(start[name].half(), stored.weights[name])]
    assert "`command` (seed 0)" in stored.card and "- 2: 4 videos of 7 frames, 2 more held out" in stored.card
    assert np.isfinite(list(json.loads((finished / "figures.json").read_text()).values())).all()


def test_an_interrupted_run_ends_with_the_same_bytes(data, finished, tmp_path, monkeypatch):
    save, kills = fit.save_training, []

    def save_and_die(path, step, *rest):
        save(path, step, *rest)
        if step == 1:
            kills.append(path.stem)
            raise KeyboardInterrupt

    run = SVGRun(data=data, out=tmp_path / "run", recipe=DEBUG)
    with monkeypatch.context() as patch:
        patch.setattr(fit, "save_training", save_and_die)
        for _ in STAGES:
            with pytest.raises(KeyboardInterrupt):
                train_svg_model(run, "command")
    train_svg_model(run, "command")
    assert kills == STAGES
    for name in ("model/model.safetensors", "model/card.md", "embeddings.npy"):
        assert (run.out / name).read_bytes() == (finished / name).read_bytes(), name


def test_models_that_are_compared_share_encoder_and_embeddings(data, finished, tmp_path):
    recipe = change(DEBUG, model={"recurrent": DETERMINISTIC})
    run = SVGRun(data=data, out=tmp_path / "det", base=finished, recipe=recipe)
    train_svg_model(run, "command")
    theirs, mine = read_model(finished / "model").weights, read_model(run.out / "model").weights
    encoder = [name for name in mine if name.startswith("encoder.")]
    assert encoder and all(torch.equal(mine[name], theirs[name]) for name in encoder)
    assert not (run.out / "embeddings.npy").exists()
    assert SVG.load(run.out / "model").decision_dim == 0


def test_a_base_that_does_not_fit_is_refused(data, finished, tmp_path):
    wider = change(DEBUG, model={"dense": 16})
    longer = change(DEBUG, vision={"steps": 3})
    for recipe, named in ((wider, "recipe.model.dense"), (longer, "recipe.vision.steps")):
        with pytest.raises(ValueError, match=f"trained with other {named}; choose another --base"):
            train_svg_model(SVGRun(data=data, out=tmp_path / "a", base=finished, recipe=recipe), "c")
    with pytest.raises(
        ValueError, match=r"no finished run to build on: it lacks vision\.safetensors, embeddings\.npy"
    ):
        train_svg_model(SVGRun(data=data, out=tmp_path / "b", base=tmp_path, recipe=DEBUG), "c")


def test_a_folder_of_another_run_is_refused(data, finished):
    with pytest.raises(ValueError, match="other seed; choose another --out"):
        train_svg_model(SVGRun(data=data, out=finished, seed=1, recipe=DEBUG), "command")


def test_known_and_held_out_videos_do_not_overlap(data):
    sets = open_videos(data, DEBUG.model, 2)
    known = read_known(sets, DEBUG.model, 2, 100)
    assert len(known) == 3 + 4 and len(read_known(sets, DEBUG.model, 2, 1)) == 2
    held_out = read_held_out(sets, DEBUG.model, 2, 100)
    assert np.array_equal(known.frames[3:], SequenceDataset(data / "2")[0:4].frames)
    assert np.array_equal(held_out.frames[2:], SequenceDataset(data / "2")[4:6].frames)
    assert np.array_equal(held_out.frames[:2], SequenceDataset(data / "1")[3:5].frames)


def test_data_that_does_not_fit_is_refused(data, tmp_path):
    with pytest.raises(DataError, match="the model needs 8 x 8 x 1"):
        open_videos(data, DEBUG.model.model_copy(update={"image_size": 8}), 2)
    with pytest.raises(DataError, match="5 sequences, but 5 are to be held out"):
        open_videos(data, DEBUG.model, 5)
    driven = DEBUG.model.recurrent.model_copy(update={"actions": 2})
    with pytest.raises(DataError, match="has 0 actuators, the model is driven by 2"):
        open_videos(data, DEBUG.model.model_copy(update={"recurrent": driven}), 2)
    write_videos(tmp_path / "1", 5)
    write_videos(tmp_path / "2", 5, length=8)
    with pytest.raises(DataError, match="different length"):
        open_videos(tmp_path, DEBUG.model, 2)
    with pytest.raises(DataError, match="no data folder"):
        open_videos(tmp_path / "missing", DEBUG.model, 2)
    run = SVGRun(data=data, out=tmp_path / "run", recipe=change(DEBUG, vision={"targets": 7}))
    with pytest.raises(ValueError, match="videos of 7 frames, the recipe needs 8"):
        train_svg_model(run, "command")


def test_the_picture_error_counts_coarse_scales_half():
    one = torch.zeros(1, 1, 16, 16)
    one[0, 0, 3, 3] = 1.0
    # A single wrong pixel: its share of a block of s x s pixels is 1 / s^2, made fine again s^2 times.
    expected = 1.0 + 0.5 * sum(1.0 / scale**2 for scale in (2, 4, 8))
    assert float(picture_error(one, torch.zeros_like(one))) == pytest.approx(expected)


def test_the_optimal_variance_is_the_one_of_the_highest_likelihood():
    stage = SVGStage(steps=1, batch=1, beta=1.0, variance="optimal")
    errors = torch.tensor([0.3, -0.1, 0.7, 0.2])
    spread = errors.square().mean().sqrt()
    expected = -torch.distributions.Normal(0.0, spread).log_prob(errors).sum() + 2.0
    torch.testing.assert_close(stage.weigh(errors.square().sum(), torch.tensor(2.0), 4), expected)
