"""Which model answers unless a request names one: the one that the measurements say is best in the task."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient

from planner.figures import FIGURES, Figure, read_figures, write_figures
from planner.loaded import ReadyWorldModel, best_first
from planner.loading import available_models, load_ready
from server.environments import KINDS
from server.http.pictures import to_base64
from server.models.service import ModelService
from server.predictions.models import controllers_in, planners_in, rewarding, valuing
from server.settings import Settings
from world_models.checkpoint import CheckpointError

ROOT = Path(__file__).parents[3]


def table(page: str, name: str) -> Iterator[dict[str, str]]:
    """The rows of a table of a README, by column."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = re.search(rf"<!-- {name} -->\n(.*?)\n\n", text, re.DOTALL)
    assert found is not None
    header, _, *rows = ([cell.strip() for cell in line.split("|")[1:-1]] for line in found[1].splitlines())
    return (dict(zip(header, row, strict=True)) for row in rows)


def returns(*names: str) -> dict[str, float]:
    """What the learned arm earns in each task, by tables of the planners' page."""
    return {
        row["task"]: float(row["return, mean ± sd (95 % CI)"].split()[0])
        for name in names
        for row in table("planner/README.md", name)
        if row["arm"] == "learned"
    }


@pytest.fixture(scope="module")
def shipped() -> ModelService:
    """All that a server has which nobody tells what to load, and the other planners that ship."""
    settings = Settings(models=tuple(dict.fromkeys([*Settings().models, *available_models()])))
    service = ModelService(settings, load_ready)
    service.models = service.load_all()
    return service


def test_the_default_of_every_task_is_the_model_with_the_figures_of_the_readme(shipped: ModelService) -> None:
    own, weak, valued = (returns("dmc", "dmc-rest"), returns("dmc-one-for-all"), returns("dmc-control"))
    assert own.keys() == weak.keys() == {name for name, kind in KINDS.items() if kind == "dmc"}
    for task in own:
        figures = [each.figures[task].value for each in controllers_in(shipped, task)]
        expected = [found[task] for found in (valued, own, weak) if task in found]
        assert figures == pytest.approx(sorted(expected, reverse=True), abs=0.05)
        assert rewarding(shipped, task)[0].figures[task].value == max(own[task], weak[task])
    assert controllers_in(shipped, "cartpole-balance")[0].name == "control-cartpole-balance"
    assert {valuing(shipped, task)[0].name for task in valued} == {f"control-{task}" for task in valued}
    assert controllers_in(shipped, "reacher-easy")[0].name == "struct-vrnn-reacher"
    assert {controllers_in(shipped, f"walker-{gait}")[0].name for gait in ("stand", "walk")} == {
        "struct-vrnn-walker"
    }


@pytest.mark.parametrize(
    ("task", "page", "name"),
    [
        ("push", "README.md", "push-400"),
        ("push-two-walls", "planner/README.md", "push-two-walls"),
        ("push-long", "planner/README.md", "push-long"),
        ("push-tight", "planner/README.md", "push-tight"),
    ],
)
def test_planners_stand_in_the_order_of_the_readme(
    shipped: ModelService, task: str, page: str, name: str
) -> None:
    rates = {row["planner"]: float(row["success < 0.30 (95 % CI)"].split()[0]) for row in table(page, name)}
    planners = planners_in(shipped, task)
    found = [each for each in planners if task in each.figures]
    measured = {each.name.removesuffix("-push"): each.figures[task].value for each in found}
    assert measured.keys() == rates.keys() & {"keyin", "jumpy", "surprise"}
    assert all(measured[planner] == pytest.approx(rates[planner] / 100, abs=6e-4) for planner in measured)
    assert list(measured.values()) == sorted(measured.values(), reverse=True) and planners[0] is found[0]
    for row in table("planner/README.md", "push-learned"):
        if (row["planner"], row["servo"]) == ("keyin", "learned"):
            learned = controllers_in(shipped, "push")[0].figures["push"]
            assert f"{100 * learned.value:.1f} %" == row["success < 0.30 (95 % CI)"].split(" (")[0]


def figure(value: float, task: str = "cartpole-balance") -> Figure:
    return Figure(task=task, measure="return", value=value, episodes=20, manifest="dmc-20")


@pytest.fixture
def rivals(worlds: ModelService, monkeypatch: pytest.MonkeyPatch) -> ModelService:
    """A service whose best model of the cart-pole comes last."""
    known = worlds.models["tiny-dmc"]
    assert isinstance(known, ReadyWorldModel)
    models = {
        "unknown": replace(known, name="unknown"),
        "weak": replace(known, name="weak", figures={"cartpole-balance": figure(12.0)}),
        "best": replace(known, name="best", figures={"cartpole-balance": figure(800.0)}),
    }
    monkeypatch.setattr(worlds, "models", models)
    return worlds


def test_the_best_model_answers_wherever_none_is_named(rivals: ModelService, world_http: TestClient) -> None:
    frame = to_base64(np.zeros((64, 64, 3), np.uint8))
    rewards = {"frames": [frame], "actions": [[[0.0]]], "task": "cartpole-balance"}
    action = {"frames": [frame], "horizon": 1, "iterations": 1, "task": "cartpole-balance"}
    bodies = {
        "rewards": rewards,
        "actions": action | {"objective": "reward"},
        "episodes": {"environment": "cartpole-balance", "seed": 1, "steps": 1},
    }
    for path, body in bodies.items():
        assert world_http.post(f"/v1/{path}", json=body).json()["model"]["name"] == "best", path
        named = world_http.post(f"/v1/{path}", json=body | {"model": "weak"}).json()
        assert named["model"]["name"] == "weak"
    listed = {row["name"]: row for row in world_http.get("/v1/environments").json()["environments"]}
    assert listed["cartpole-balance"]["controllers"] == ["best", "weak", "unknown"]
    assert listed["cheetah-run"]["controllers"] == ["unknown", "weak", "best"]
    models = {row["name"]: row["figures"] for row in world_http.get("/v1/models").json()["models"]}
    assert models["unknown"] == [] and models["best"] == [figure(800.0).model_dump()]


def test_figures_belong_to_weights(world_folders: dict[str, Path], tmp_path: Path) -> None:
    ready = load_ready(str(world_folders["tiny-dmc"]))
    assert isinstance(ready, ReadyWorldModel) and not ready.figures
    known = {"cartpole-balance": figure(1.5)}
    write_figures(tmp_path, ready.weights_sha256, known)
    assert read_figures(tmp_path, ready.weights_sha256) == known
    with pytest.raises(CheckpointError, match="about other weights than those beside it; measure again"):
        read_figures(tmp_path, "ab" * 32)
    (tmp_path / FIGURES).write_text("{}")
    with pytest.raises(CheckpointError, match=r"figures\.json is damaged: Field required; measure again"):
        read_figures(tmp_path, ready.weights_sha256)


def test_equal_figures_leave_the_order_of_the_settings(rivals: ModelService) -> None:
    models = [model for model in rivals.models.values() if isinstance(model, ReadyWorldModel)]
    alike = [replace(model, figures={"x": figure(1.0, "x")}) for model in reversed(models)]
    assert best_first(alike, "x") == alike
