import json
import stat

import pytest
import torch
from torch import nn

from world_models.checkpoint import (
    EYE,
    CheckpointError,
    load_training,
    read_model,
    save_training,
    write_card,
    write_eye,
    write_model,
)
from world_models.keyin import KeyIn, KeyInConfig
from world_models.keyin.presets import KEYIN_DEBUG
from world_models.training.fit import FitConfig


@pytest.fixture
def folder(tmp_path):
    write_model(tmp_path / "model", KEYIN_DEBUG.model, KeyIn(KEYIN_DEBUG.model), "# Card\n")
    return tmp_path / "model"


def test_round_trip_keeps_every_weight_to_half_precision(tmp_path):
    model = KeyIn(KEYIN_DEBUG.model)
    digest = write_model(tmp_path / "model", KEYIN_DEBUG.model, model, "# Card\n")
    stored = read_model(tmp_path / "model")
    assert (stored.card, stored.digest) == ("# Card\n", digest)
    loaded = KeyIn.load(tmp_path / "model")
    assert loaded.config == KEYIN_DEBUG.model and not loaded.training
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor.half().float()), name


def test_files_are_readable_by_all_and_nothing_is_left_behind(folder):
    assert {path.name for path in folder.parent.iterdir()} == {"model"}
    assert {path.name for path in folder.iterdir()} == {
        "config.json",
        "model.safetensors",
        "card.md",
        "MANIFEST.json",
    }
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o644 for path in folder.iterdir())


def test_a_model_folder_can_be_replaced(folder):
    before = read_model(folder).digest
    after = write_model(folder, KEYIN_DEBUG.model, KeyIn(KEYIN_DEBUG.model), "# New\n")
    assert read_model(folder).digest == after != before


def test_an_eye_lies_beside_the_weights_and_is_checked_like_them(folder):
    assert read_model(folder).eye is None
    before, eye = read_model(folder), {"typical": torch.tensor([1.0, 2.0, 3.0])}
    write_eye(folder, eye)
    write_card(folder, "# Another\n")
    stored = read_model(folder)
    assert torch.equal(stored.eye["typical"], eye["typical"]) and stored.eye.keys() == eye.keys()
    assert stored.weights_digest == before.weights_digest and stored.digest != before.digest
    content = bytearray((folder / EYE).read_bytes())
    content[-1] ^= 1
    (folder / EYE).write_bytes(content)
    with pytest.raises(CheckpointError, match=f"{EYE} differs"):
        read_model(folder)
    (folder / EYE).unlink()
    with pytest.raises(CheckpointError, match=r"lacks a piece of its weights, or what lies beside them"):
        read_model(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "card.md"])
def test_tampered_files_are_refused(folder, name):
    content = bytearray((folder / name).read_bytes())
    content[-1] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=name):
        read_model(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "card.md", "MANIFEST.json"])
def test_missing_files_are_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=f"lacks {name}"):
        read_model(folder)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"sha256": {}}', '{"sha256": 3}'])
def test_broken_manifests_are_refused(folder, content):
    (folder / "MANIFEST.json").write_text(content)
    with pytest.raises(CheckpointError, match="SHA-256"):
        read_model(folder)


def test_weights_must_fit_the_config(tmp_path):
    other = KEYIN_DEBUG.model.model_copy(update={"hidden": 12})
    write_model(tmp_path / "model", other, KeyIn(KEYIN_DEBUG.model), "")
    with pytest.raises(CheckpointError, match="does not fit"):
        KeyIn.load(tmp_path / "model")


def test_other_kinds_of_model_are_refused(tmp_path):
    write_model(tmp_path / "model", FitConfig(steps=1, batch=1), nn.Linear(1, 1), "")
    with pytest.raises(CheckpointError, match="KeyInConfig"):
        KeyIn.load(tmp_path / "model")
    assert "kind" not in json.loads((tmp_path / "model" / "config.json").read_text())
    assert KeyInConfig().kind == "keyin"


def trained(seed):
    rng = torch.Generator().manual_seed(seed)
    model = nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    return model, optimizer, rng


def go(model, optimizer, rng, steps):
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.randn(4, 3, generator=rng)).square().sum().backward()
        optimizer.step()


def test_training_state_continues_exactly(tmp_path):
    model, optimizer, rng = trained(0)
    go(model, optimizer, rng, 3)
    save_training(tmp_path / "a.safetensors", 3, model, optimizer, rng)
    go(model, optimizer, rng, 2)
    again = trained(1)
    assert load_training(tmp_path / "a.safetensors", *again) == 3
    go(*again, 2)
    assert torch.equal(again[0].weight, model.weight) and torch.equal(again[0].bias, model.bias)


def test_damaged_training_states_are_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"nonsense")
    with pytest.raises(CheckpointError, match="resume"):
        load_training(path, *trained(0))
    model, optimizer, rng = trained(0)
    save_training(path, 1, nn.Linear(5, 5), optimizer, rng)
    with pytest.raises(CheckpointError, match="resume"):
        load_training(path, model, optimizer, rng)
