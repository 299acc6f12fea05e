"""A copy of a model learns to see in changed pictures what the model saw in the usual ones."""

import json

import numpy as np
import pytest
import torch

from world_models.checkpoint import read_model, write_eye, write_model
from world_models.data import DataError, Sequences, write_shard
from world_models.distillation.recipe import DistillationRecipe, DistillationRun, EncoderStage
from world_models.distillation.run import distil
from world_models.eye import Eye, EyeStage, Reference, reference_of
from world_models.keyin.model import KeyIn
from world_models.keyin.presets import KEYIN_DEBUG
from world_models.struct_vrnn.config import StructVRNNConfig
from world_models.struct_vrnn.model import StructVRNN
from world_models.tap.config import TapConfig
from world_models.tap.model import Tap

SIZE = KEYIN_DEBUG.model.image_size
TINY = StructVRNNConfig(
    widths=(0, 4, 8), keypoints=4, latent=3, hidden=16, posterior_width=16, blob_width=2.0,
    image_size=SIZE, actions=2, bodies=("puck", "finger"),
)  # fmt: skip


def squares(rng, count):
    """Pictures of a square somewhere on a table, and the same with a green patch in a corner."""
    usual = np.full((count, SIZE, SIZE, 3), (125, 89, 59), np.uint8)
    for picture in usual:
        x, y = rng.integers(4, SIZE - 10, 2)
        picture[y : y + 5, x : x + 5] = (237, 36, 222)
    other = usual.copy()
    other[:, :4, :4] = (20, 200, 60)
    return np.concatenate([usual, other])


def write_looks(folder, pictures=8):
    rng = np.random.default_rng(0)
    frames = np.stack([squares(rng, pictures // 2) for _ in range(24)])
    if pictures % 2:
        frames = frames[:, :-1]
    count, length = frames.shape[:2]
    sequences = Sequences(
        frames=frames,
        actions=np.zeros((count, length - 1, 2), np.float32),
        keyframes=np.zeros((count, length), np.bool_),
        states=np.zeros((count, length, 4), np.float32),
    )
    write_shard(folder / "shard-00000.h5", sequences, {"version": 1})


def make_model(folder, kind):
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(torch.Generator().manual_seed(0).get_state())
        model = KeyIn(KEYIN_DEBUG.model) if kind == "keyin" else StructVRNN(TINY)
    write_model(folder, model.config, model, "# Card\n")


def run_of(tmp_path, steps=60):
    stage = EncoderStage(steps=steps, batch=16, learning_rate=2e-3)
    recipe = DistillationRecipe(held_out=4, encoder=stage, eye=EyeStage())
    return DistillationRun(
        model=str(tmp_path / "model"), data=tmp_path / "looks", out=tmp_path / "run", recipe=recipe
    )


@pytest.fixture
def looks(tmp_path):
    write_looks(tmp_path / "looks")
    return tmp_path


@pytest.mark.parametrize("kind", ["keyin", "struct-vrnn"])
def test_what_is_seen_of_changed_pictures_comes_nearer(looks, kind):
    make_model(looks / "model", kind)
    folder = distil(run_of(looks), "the command")
    figures = json.loads((looks / "run/figures.json").read_text())
    for name, after in figures["after"].items():
        if name.endswith("other world"):
            assert after["median"] < 0.7 * figures["before"][name]["median"], name
    before, after = read_model(looks / "model"), read_model(folder)
    learned = "autoencoder.encoder." if kind == "keyin" else "vision."
    for name, tensor in before.weights.items():
        if not name.startswith(learned):
            assert torch.equal(after.weights[name], tensor), name
    assert after.config == before.config
    assert after.card.startswith("# Card\n\n# A robust encoder") and "`the command`" in after.card
    assert Eye(Reference.from_tensors(after.eye)).digest is not None


def test_an_eye_that_is_there_is_kept(looks):
    make_model(looks / "model", "keyin")
    eye = reference_of(np.full((3, SIZE, SIZE, 3), 90, np.uint8), EyeStage())
    write_eye(looks / "model", eye.to_tensors())
    folder = distil(run_of(looks, steps=1), "")
    assert Eye(Reference.from_tensors(read_model(folder).eye)).digest == Eye(eye).digest


def test_a_killed_run_goes_on_to_the_same_weights(looks, monkeypatch):
    make_model(looks / "model", "keyin")
    whole = distil(run_of(looks, steps=6), "")
    expected = read_model(whole).weights_digest
    again = run_of(looks, steps=6).model_copy(update={"out": looks / "again"})
    saved = again.recipe.encoder.model_copy(update={"save_every": 2})
    again = again.model_copy(update={"recipe": again.recipe.model_copy(update={"encoder": saved})})

    class Killed(Exception):
        pass

    def kill(*arguments, **more):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr("world_models.distillation.run.export", kill)
        with pytest.raises(Killed):
            distil(again, "")
    assert read_model(distil(again, "")).weights_digest == expected


def test_models_that_share_an_encoder_share_the_robust_one(looks):
    make_model(looks / "model", "keyin")
    first = distil(run_of(looks, steps=6), "")
    sibling = KeyIn.load(looks / "model")
    with torch.no_grad():
        for parameter in sibling.predictor.parameters():
            parameter += 0.25
    write_model(looks / "sibling", sibling.config, sibling, "")
    run = run_of(looks, steps=6).model_copy(
        update={"model": str(looks / "sibling"), "base": looks / "run", "out": looks / "second"}
    )
    second = distil(run, "")
    for name, tensor in read_model(second).weights.items():
        other = first if name.startswith("autoencoder.encoder.") else looks / "sibling"
        assert torch.equal(tensor, read_model(other).weights[name]), name
    with torch.no_grad():
        for parameter in sibling.autoencoder.encoder.parameters():
            parameter += 0.25
    write_model(looks / "stranger", sibling.config, sibling, "")
    with pytest.raises(ValueError, match=r"other data\.encoder; choose another --base"):
        distil(run.model_copy(update={"model": str(looks / "stranger"), "out": looks / "third"}), "")


def test_what_cannot_be_distilled_is_refused(looks):
    tap = Tap(TapConfig(embedding=8, latent=2))
    write_model(looks / "model", tap.config, tap, "")
    with pytest.raises(ValueError, match="is a tap; choose a KeyIn or a Struct-VRNN"):
        distil(run_of(looks), "")
    cnn = StructVRNN(TINY.model_copy(update={"representation": "vector", "bodies": ()}))
    write_model(looks / "model", cnn.config, cnn, "")
    with pytest.raises(ValueError, match="has no keypoints"):
        distil(run_of(looks).model_copy(update={"out": looks / "other"}), "")
    make_model(looks / "model", "keyin")
    write_looks(looks / "odd", pictures=7)
    odd = run_of(looks).model_copy(update={"data": looks / "odd", "out": looks / "third"})
    with pytest.raises(DataError, match="are no pairs; collect some with"):
        distil(odd, "")
