"""Exported roll-outs answer as the models they are of."""

import sys

import pytest
import torch
from dot_room_models import untrained_models
from tiny_models import VIDEOS, at_random

from world_models.checkpoint import write_model
from world_models.export import programme
from world_models.export.__main__ import main
from world_models.export.programme import export, load_exportable, shapes_of
from world_models.interface import Context, Future
from world_models.jobs.command import Failure
from world_models.struct_vrnn.model import StructVRNN


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    keyin, world = untrained_models(tmp_path_factory.mktemp("models"), 64)
    return {"keyin": keyin, "struct-vrnn": world}


@pytest.mark.parametrize(
    ("kind", "options", "takes"),
    [
        ("keyin", ["--rows", "2"], [(2, 1, 3, 64, 64), (2, 0, 0), (2, 3, 2)]),
        ("struct-vrnn", ["--frames", "3", "--steps", "4"], [(1, 3, 3, 64, 64), (1, 2, 2), (1, 4, 2)]),
    ],
)
def test_the_written_programme_answers_as_the_model(
    folders, tmp_path, monkeypatch, capsys, kind, options, takes
):
    out = tmp_path / "roll-out.pt2"
    arguments = ["world_models.export", str(folders[kind]), "--out", str(out), *options]
    monkeypatch.setattr(sys, "argv", arguments)
    main()
    assert capsys.readouterr().out.startswith(f"{kind}: frames [{takes[0][0]} {takes[0][1]} 3 64 64]")
    roll_out = torch.export.load(out).module()
    model, _ = load_exportable(str(folders[kind]))
    generator = torch.Generator().manual_seed(5)
    frames, actions, decisions = (torch.rand(shape, generator=generator) for shape in takes)
    with torch.enable_grad():
        features, times = roll_out(frames, actions, decisions)
        wanted = model.imagine(model.encode(Context(frames, actions)), decisions)
    torch.testing.assert_close(features, wanted.features, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(times, wanted.times)


def test_what_cannot_be_exported_is_said(folders, tmp_path):
    keyin, _ = load_exportable(str(folders["keyin"]))
    for given, words in (
        ({"rows": 0}, "rows, frames and steps must be at least 1"),
        ({"rows": 1, "frames": 2}, "this model looks at 1 frames, not 2"),
        ({"rows": 1, "steps": 4}, "this model plans up to 3 keyframes, not 4"),
    ):
        with pytest.raises(ValueError, match=words):
            shapes_of(keyin, **given)
    video = at_random(VIDEOS["tiny-lp"])
    write_model(tmp_path / "video", video.config, video, "")
    with pytest.raises(ValueError, match="of the kind svg; roll-outs are exported of keyin and struct-vrnn"):
        load_exportable(str(tmp_path / "video"))


def test_a_programme_that_answers_otherwise_is_not_written(folders, monkeypatch):
    """A model that forgets what it is told while it is traced."""
    world, _ = load_exportable(str(folders["struct-vrnn"]))
    imagine, asked = StructVRNN.imagine, []

    def forgetful(self, state, decisions):
        asked.append(None)
        found = imagine(self, state, decisions * (len(asked) > 1))
        return Future(found.features, found.times)

    monkeypatch.setattr(programme.StructVRNN, "imagine", forgetful)
    with pytest.raises(Failure, match="answers otherwise than the model"):
        export(world, shapes_of(world, 1, steps=2))
