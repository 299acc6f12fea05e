"""What models are called, and what is said before any of them is loaded."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from planner.loaded import ReadyPlanner
from planner.loading import available_ready, find_models, load_ready
from server import __main__ as command
from server.app import create_app
from server.models.service import ModelService
from server.settings import Settings
from world_models.checkpoint import CheckpointError
from world_models.shipped import model_name


@pytest.fixture
def runs(world_folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with the runs ``a`` and ``b`` as training leaves them."""
    for run, name in (("a", "tiny-dmc"), ("b", "tiny-rnn")):
        shutil.copytree(world_folders[name], tmp_path / "runs" / run / "model")
    shutil.copytree(
        world_folders["tiny-dmc"].parent / "tiny-dmc-rewards", tmp_path / "runs" / "a" / "rewards"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs"


def test_models_of_runs_are_called_as_their_runs(runs: Path) -> None:
    settings = Settings(models="runs/a/model,runs/b/model, best=runs/a/model/,")  # type: ignore[arg-type]
    assert list(find_models(settings.models)) == ["a", "b", "best"]
    service = ModelService(settings, load_ready)
    service.models = service.load_all()
    assert list(service.models) == [model.name for model in service.models.values()] == ["a", "b", "best"]
    assert service.models["a"].sha256 == service.models["best"].sha256 != service.models["b"].sha256
    with TestClient(create_app(settings, service), base_url="http://localhost") as http:
        assert [row["name"] for row in http.get("/v1/models").json()["models"]] == ["a", "b", "best"]
        assert http.get("/v2/models/best").json()["name"] == "best"


def test_a_folder_is_called_by_its_own_name_wherever_one_stands(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert model_name(Path("runs/a/model")) == model_name(runs / "b" / ".." / "a" / "model") == "a"
    assert model_name(Path("runs/a")) == "a" and model_name(Path("/model")) == "model"
    (runs / "link").symlink_to(runs / "b" / "model")
    assert list(find_models(["runs/link"])) == ["b"]
    monkeypatch.chdir(runs / "a" / "model")
    assert list(find_models(["."])) == ["a"]
    monkeypatch.chdir(runs)
    shutil.copytree("b/model", "x=y/model")
    assert list(find_models(["x=y/model", "z=x=y/model"])) == ["x=y", "z"]


@pytest.mark.parametrize(
    ("models", "sentence"),
    [
        (
            ["runs/a/model", "other/a/model"],
            "two models are called a: runs/a/model and other/a/model; "
            "leave one out, or name it as in a-2=other/a/model",
        ),
        (["x=runs/a/model", "x=runs/b/model"], "name it as in x-2=runs/b/model"),
        (["runs/a/model", "runs/a/model"], "two models are called a"),
        (["runs/a/model", "keyin-pusch"], "no model 'keyin-pusch'; shipped: "),
        (["runs/a/model", "b=runs/c/model"], "no model 'runs/c/model'; shipped: "),
        (
            ["a b=runs/a/model"],
            "'a b' is no name for a model; one has up to 100 letters, digits and signs ._-",
        ),
        (["=runs/a/model"], "'' is no name for a model"),
        (
            ["runs/a/model", "tap-push"],
            "tap-push is none of keyin, struct-vrnn, control, svg, kalman; shipped ones",
        ),
        (["runs/a/model", "runs/broken"], "config.json cannot be read"),
        (["runs/a/model", "runs/list"], "config.json cannot be read"),
    ],
)
def test_names_are_checked_before_anything_is_loaded(
    runs: Path,
    models: list[str],
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(runs / "a", "other/a")
    for name, text in (("broken", "{"), ("list", json.dumps([1]))):
        (runs / name).mkdir()
        (runs / name / "config.json").write_text(text)
    for weights in Path().rglob("model.safetensors"):
        weights.unlink()  # what is loaded is missed
    monkeypatch.setattr(sys, "argv", ["server", "--models", ",".join(models)])
    with pytest.raises(SystemExit) as ended:
        command.main()
    said = capsys.readouterr().err
    assert ended.value.code == 2 and sentence in said.splitlines()[-1], said


def test_all_that_ship_have_names_of_their_own() -> None:
    assert list(find_models(available_ready())) == list(available_ready())


def test_a_service_says_which_names_are_the_same(ready_planner: ReadyPlanner) -> None:
    service = ModelService(Settings(models=("x", "y")), lambda name, device: ready_planner)
    with pytest.raises(ValueError, match="models must have different names, got toy, toy; name them apart"):
        service.load_all()


def test_a_configuration_that_is_none_is_said_by_name(runs: Path) -> None:
    (runs / "a" / "model" / "config.json").write_text("[]" * 3)
    with pytest.raises(CheckpointError, match=r"runs/a/model/config\.json cannot be read"):
        find_models(["runs/a/model"])
