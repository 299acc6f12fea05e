"""Models that ship: copied whole, and what their weights have in common stored once."""

import sys
import zlib

import numpy as np
import pytest
import torch
from pydantic import BaseModel
from torch import nn

from world_models import files, shipped
from world_models.checkpoint import CheckpointError, read_model, write_card, write_model
from world_models.files import SHARED, read_content, write_pieces


class Config(BaseModel):
    kind: str = "two parts"


class TwoParts(nn.Module):
    """An encoder that may be shared, and a head of its own before and after it in the alphabet."""

    def __init__(self, encoder: int, head: int) -> None:
        super().__init__()
        self.alpha, self.encoder, self.head = (nn.Linear(4, 4), nn.Linear(300, 300), nn.Linear(9, 9))
        for seed, part in ((head, self.alpha), (encoder, self.encoder), (head, self.head)):
            rng = torch.Generator().manual_seed(seed)
            for parameter in part.parameters():
                parameter.data = torch.randn(parameter.shape, generator=rng)


@pytest.fixture
def runs(tmp_path):
    """Two models with one encoder, and one with another."""
    for name, encoder, head in (("one", 0, 1), ("two", 0, 2), ("other", 5, 3)):
        write_model(tmp_path / "runs" / name, Config(), TwoParts(encoder, head), f"# {name}\n")
    return tmp_path / "runs"


@pytest.fixture
def among(tmp_path):
    return tmp_path / "pretrained"


def bytes_in(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def ship_all(runs, among, *names):
    for name in names:
        shipped.ship(name, runs / name, among)
    shipped.share(among)


def test_models_that_share_a_part_stay_what_they_are(runs, among):
    ship_all(runs, among, "one", "two", "other")
    for name in ("one", "two", "other"):
        before, after = read_model(runs / name), read_model(among / name)
        assert (before.digest, before.weights_digest) == (after.digest, after.weights_digest)
        assert before.card == after.card
        assert all(torch.equal(before.weights[key], after.weights[key]) for key in before.weights)
    encoder = 2 * (300 * 300 + 300)
    assert bytes_in(runs) - bytes_in(among) > 0.99 * encoder
    assert len(list((among / SHARED).iterdir())) == 1
    assert (among / "other" / "model.safetensors").is_file()


def test_a_control_model_takes_along_what_it_sees_with(runs, among, monkeypatch):
    control = Config(kind="control")
    write_model(runs / "cart" / "model", control, TwoParts(0, 1), "# Control\n")
    write_model(runs / "cart" / "detector", Config(), TwoParts(5, 3), "# Detector\n")
    monkeypatch.setattr(shipped, "PRETRAINED", among)
    monkeypatch.setattr(sys, "argv", ["shipped", f"control-cart={runs / 'cart' / 'model'}"])
    shipped.main()
    assert shipped.shipped_models() == ["control-cart"]
    kept = shipped.detector_folder(among / "control-cart")
    assert kept != shipped.detector_folder(runs / "cart" / "model") == runs / "cart" / "detector"
    assert read_model(kept).digest == read_model(runs / "cart" / "detector").digest


def test_sharing_again_changes_nothing_and_what_nobody_shares_is_whole_again(runs, among):
    ship_all(runs, among, "one", "two")
    stored = {path: path.read_bytes() for path in among.rglob("*") if path.is_file()}
    shipped.share(among)
    assert stored == {path: path.read_bytes() for path in among.rglob("*") if path.is_file()}
    shipped.ship("two", runs / "other", among)
    shipped.share(among)
    assert not list((among / SHARED).iterdir())
    assert (among / "one" / "model.safetensors").read_bytes() == (
        runs / "one" / "model.safetensors"
    ).read_bytes()
    assert read_model(among / "two").digest == read_model(runs / "other").digest


def test_a_model_can_be_read_whenever_sharing_is_killed(runs, among, monkeypatch):
    for name in ("one", "two"):
        shipped.ship(name, runs / name, among)
    write, left = files.write_bytes, 0

    def write_so_often(path, content):
        nonlocal left
        if left == 0:
            raise KeyboardInterrupt
        left -= 1
        write(path, content)

    monkeypatch.setattr(files, "write_bytes", write_so_often)
    for often in range(12):
        left, killed = often, False
        try:
            shipped.share(among)
        except KeyboardInterrupt:
            killed = True
        for name in ("one", "two"):
            assert read_model(among / name).digest == read_model(runs / name).digest
    assert not killed and not (among / "one" / "model.safetensors").exists()


def test_a_model_in_pieces_can_be_shipped_on_and_given_another_card(runs, among, tmp_path):
    ship_all(runs, among, "one", "two")
    shipped.ship("copy", among / "one", tmp_path / "elsewhere")
    assert read_model(tmp_path / "elsewhere" / "copy").digest == read_model(runs / "one").digest
    write_card(among / "one", "# new\n")
    assert read_model(among / "one").card == "# new\n"
    assert read_model(among / "one").weights_digest == read_model(runs / "one").weights_digest


def test_a_missing_or_damaged_piece_is_named(runs, among):
    ship_all(runs, among, "one", "two")
    (piece,) = (among / SHARED).iterdir()
    content = piece.read_bytes()
    piece.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(CheckpointError, match=f"{piece.name} is damaged"):
        read_model(among / "one")
    piece.write_bytes(zlib.compress(b"other weights"))
    with pytest.raises(CheckpointError, match="differs from the SHA-256"):
        read_model(among / "one")
    piece.unlink()
    with pytest.raises(CheckpointError, match=f"lacks a piece.*{piece.name}.*shared beside it"):
        read_model(among / "one")


@pytest.mark.parametrize("size", [0, 1, 2, 7, 8])
def test_pieces_come_back_as_they_were(tmp_path, size):
    content = bytes(range(200, 200 + size))
    path = tmp_path / "model" / "weights"
    write_pieces(path, [content, content[:1]], shared=())
    assert read_content(path) == content + content[:1]


def test_pieces_of_weights_take_less_room(tmp_path):
    weights = np.random.default_rng(0).normal(scale=0.1, size=100_000).astype("f2").tobytes()
    write_pieces(tmp_path / "model" / "weights", [weights], shared=())
    (piece,) = tmp_path.glob("model/*.piece")
    assert piece.stat().st_size < 0.9 * len(weights)


@pytest.mark.parametrize("names", ['["../../secret"]', '{"a": 1}', "[1]", "nonsense"])
def test_a_list_of_pieces_that_is_none_is_refused(runs, among, names):
    ship_all(runs, among, "one", "two")
    (among / "one" / "model.safetensors.pieces").write_text(names)
    with pytest.raises(CheckpointError, match="piece"):
        read_model(among / "one")


def test_the_command_ships_under_the_names_given(runs, among, monkeypatch):
    monkeypatch.setattr(shipped, "PRETRAINED", among)
    monkeypatch.setattr(sys, "argv", ["shipped", f"uno={runs / 'one'}", f"due={runs / 'two'}"])
    shipped.main()
    assert shipped.shipped_models() == ["due", "uno"]
    monkeypatch.setattr(sys, "argv", ["shipped", str(runs / "one")])
    with pytest.raises(SystemExit, match="give models as NAME=FOLDER"):
        shipped.main()
