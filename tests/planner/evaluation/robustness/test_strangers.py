"""Which pictures a planner refuses."""

import numpy as np
import pytest
from PIL import Image

from envs.push.episodes import draw_episodes
from envs.push.world import PushWorld
from planner.evaluation.robustness import strangers
from planner.evaluation.robustness.strangers import Strangers, measure_strangers
from world_models.checkpoint import write_eye, write_model
from world_models.eye import EyeStage, reference_of
from world_models.keyin.model import KeyIn
from world_models.keyin.presets import KEYIN_DEBUG


@pytest.fixture
def model(tmp_path):
    write_model(tmp_path / "model", KEYIN_DEBUG.model, KeyIn(KEYIN_DEBUG.model), "")
    return tmp_path / "model"


@pytest.fixture
def seeing(model):
    world = PushWorld()
    pictures = [world.begin(scene)[0] for scene in draw_episodes(3, 20).starts]
    world.close()
    write_eye(model, reference_of(np.stack(pictures), EyeStage(field_of_view=40.0)).to_tensors())
    return model


def test_own_pictures_are_taken_and_others_refused(seeing, tmp_path, monkeypatch):
    monkeypatch.setattr(strangers, "OTHERS", ("Reacher-v5",))
    monkeypatch.setattr(strangers, "TASKS", ("cartpole-balance",))
    photographs = tmp_path / "photographs" / "deep"
    photographs.mkdir(parents=True)
    picture = np.random.default_rng(0).integers(0, 256, (80, 60, 3), dtype=np.uint8)
    Image.fromarray(picture).save(photographs / "one.jpg")
    (photographs / "none.png").write_bytes(b"no picture")
    run = Strangers(
        model=str(seeing), varied=1, each=2, pictures=tmp_path / "photographs", out=tmp_path / "out.json"
    )
    result = measure_strangers(run)
    rows = {row["kind"]: row for row in result["rows"]}
    counts = {kind: row["n"] for kind, row in rows.items()}
    assert counts.pop("own world, changed") == 28
    assert counts == {
        "own world": 400, "DM Control": 2, "gymnasium": 2, "noise": 6, "photographs": 1,
    }  # fmt: skip
    refused = {kind: row["refused"] for kind, row in rows.items()}
    assert refused == {kind: float(not kind.startswith("own")) for kind in refused}
    low, high = rows["own world"]["refused_ci95"]
    assert low == 0 and 0.005 < high < 0.01
    assert "| own world | 400 | 0.0 % (0.0 to 1.0) |" in result["table"]


def test_a_model_without_eye_and_a_folder_without_pictures_are_refused(model, tmp_path):
    with pytest.raises(ValueError, match="has no eye"):
        measure_strangers(Strangers(model=str(model), out=tmp_path / "out.json"))


def test_a_folder_without_pictures_is_named(seeing, tmp_path, monkeypatch):
    kinds = strangers._kinds
    monkeypatch.setattr(
        strangers, "_kinds", lambda run, size: {"photographs": kinds(run, size)["photographs"]}
    )
    (tmp_path / "empty").mkdir()
    run = Strangers(model=str(seeing), pictures=tmp_path / "empty", out=tmp_path / "out.json")
    with pytest.raises(ValueError, match="empty holds no PNG or JPEG"):
        measure_strangers(run)
