"""Which models a server has: by name, by folder, and without a word."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient

from planner.loaded import ReadyWorldModel
from planner.loading import load_ready
from server.http.pictures import to_base64
from server.models.service import ModelService
from server.settings import PLANNERS, Settings
from world_models import shipped as shipped_models
from world_models.checkpoint import CheckpointError, write_model
from world_models.struct_vrnn.config import StructVRNNConfig
from world_models.struct_vrnn.model import StructVRNN


@pytest.fixture
def shipped(world_folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of shipped models: the tiny world models and something else."""
    folder = shutil.copytree(world_folders["tiny-dmc"].parent, tmp_path / "pretrained")
    (folder / "other").mkdir()
    (folder / "other" / "config.json").write_text(json.dumps({"kind": "tap"}))
    monkeypatch.setattr(shipped_models, "PRETRAINED", folder)
    return folder


def test_world_models_that_ship_are_loaded_unless_others_are_named(
    shipped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Settings().models == (*PLANNERS, "tiny-dmc", "tiny-agents", "tiny-push", "tiny-rnn")
    monkeypatch.setenv("WAYMARK_MODELS", "tiny-rnn, tiny-dmc")
    assert Settings().models == ("tiny-rnn", "tiny-dmc")


def test_heads_are_found_where_they_ship_and_where_a_run_leaves_them(shipped: Path, tmp_path: Path) -> None:
    ready = load_ready("tiny-dmc")
    assert isinstance(ready, ReadyWorldModel)
    assert sorted(ready.heads) == ["cartpole-balance", "cheetah-run"]
    shutil.copytree(shipped / "tiny-dmc", tmp_path / "run" / "model")
    shutil.copytree(shipped / "tiny-dmc-rewards", tmp_path / "run" / "rewards")
    trained = load_ready(str(tmp_path / "run" / "model"))
    assert isinstance(trained, ReadyWorldModel)
    assert (trained.name, trained.sha256) == ("run", ready.sha256)
    assert {task: found.sha256 for task, found in trained.heads.items()} == {
        task: found.sha256 for task, found in ready.heads.items()
    }
    agents = load_ready("tiny-agents")
    assert isinstance(agents, ReadyWorldModel) and not agents.heads


def test_what_cannot_be_served_is_refused(shipped: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match="no model 'none'; shipped: other, tiny-agents, tiny-dmc, tiny-push, tiny-rnn"
    ):
        load_ready("none")
    shutil.copytree(shipped / "tiny-dmc-rewards", shipped / "tiny-rnn-rewards")
    with pytest.raises(CheckpointError, match="reads the states of a model with weights"):
        load_ready("tiny-rnn")
    config = StructVRNNConfig(representation="vector", widths=(0, 4, 8), keypoints=4, hidden=8)
    with torch.random.fork_rng(devices=[]):
        write_model(tmp_path / "vector", config, StructVRNN(config), "")
    with pytest.raises(ValueError, match="a baseline without keypoints"):
        load_ready(str(tmp_path / "vector"))
    (shipped / "tiny-agents-rewards").mkdir()
    with pytest.raises(CheckpointError, match="no reward heads in"):
        load_ready("tiny-agents")


def test_the_first_model_that_knows_the_task_answers(
    worlds: ModelService, world_http: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = worlds.models["tiny-dmc"]
    assert isinstance(known, ReadyWorldModel)
    other = replace(known, name="other", heads={"cheetah-run": known.heads["cheetah-run"]})
    monkeypatch.setattr(worlds, "models", {"other": other, **worlds.models})
    frame = to_base64(np.zeros((64, 64, 3), np.uint8))
    rewards = {"frames": [frame], "actions": [[[0.0]]]}
    action = {"frames": [frame], "objective": "reward", "horizon": 1, "iterations": 1}
    for path, body in (("rewards", rewards), ("actions", action)):
        body = body | {"task": "cartpole-balance"}
        assert world_http.post(f"/v1/{path}", json=body).json()["model"]["name"] == "tiny-dmc"
        refused = world_http.post(f"/v1/{path}", json=body | {"model": "other"}).json()
        assert refused["detail"] == "other cannot answer this; models that can: tiny-dmc."
