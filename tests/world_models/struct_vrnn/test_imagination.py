"""The table of errors by horizon: what it measures, and runs side by side."""

import json
import sys

import numpy as np
import pytest
import torch

from world_models import evaluate
from world_models.checkpoint import write_model
from world_models.data import Sequences, shard_path, write_shard
from world_models.files import save_array
from world_models.struct_vrnn.evaluation.imagination import (
    ImaginationEvaluation,
    evaluate_imagination,
    horizon_errors,
    markdown_tables,
    reward_errors,
)
from world_models.struct_vrnn.evaluation.tracking import Truth
from world_models.struct_vrnn.model import StructVRNN, weigh
from world_models.struct_vrnn.presets import DEBUG
from world_models.struct_vrnn.rewards.recipe import RewardRecipe
from world_models.training.run import Session

RECIPE = DEBUG.model_copy(
    update={"held_out": 40, "model": DEBUG.model.model_copy(update={"tasks": ("cart",), "actions": 1})}
)
NAMES = ("old/struct-vrnn-dmc-0", "new/struct-vrnn-dmc-0")
"""In folders of their own, since a run's name says its preset and seed."""
HEAD = RewardRecipe(steps=3, batch=8, observed=3, tested=15, width=6)


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def places(features):
    """Two bodies where a linear map of weighed coordinates says."""
    found = weigh(features).unflatten(-1, (-1, 3))[..., :2].flatten(-2)
    return (found @ (4.0 * draw(8, 4, seed=5)) + 8.0).unflatten(-1, (2, 2))


def make_model():
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(torch.Generator().manual_seed(0).get_state())
        return StructVRNN(RECIPE.model).eval()


def test_errors_are_of_every_imagined_frame():
    model, features = make_model(), draw(50, 6, 12)
    truth = Truth(draw(50, 5, 1), places(features), np.zeros((0, 6, 16, 16, 3), np.uint8), ("a", "b"), 30)
    imagined, held = horizon_errors(model, truth, features, 3)
    moved = (truth.positions[30:, 3:] - truth.positions[30:, 2:3]).norm(dim=-1).mean((0, 2))
    assert held == pytest.approx(moved.tolist(), rel=0.05) and len(imagined) == 3
    state = model.take_in(features[30:, :3], truth.actions[30:, :2])
    future = places(model.roll_out(state, truth.actions[30:, 2:]).features)
    expected = (future - truth.positions[30:, 3:]).norm(dim=-1).mean((0, 2))
    assert imagined == pytest.approx(expected.tolist(), rel=0.05)


def test_reward_errors_begin_where_imagination_does():
    result = {"head": {"per_step": [1.0, 2.0, 3.0, 4.0]}, "null": {"per_step": [2.0, 2.0, 4.0, 2.0]}}
    assert reward_errors(result, 2) == [0.75, 2.0]


def test_the_first_run_is_what_others_are_measured_against():
    rows = [
        {"run": run, "task": task, "bodies": [1.0, at_last], "rewards": [0.1, 0.5], "held": [2.0, 3.0]}
        for run, at_last in (("today-0", 4.0), ("longer-0", 2.0))
        for task in ("a", "b")
    ]
    table = markdown_tables({"rows": rows})
    assert "| today-0 | 1.000 | 4.000 | 1.00 |" in table and "| longer-0 | 1.000 | 2.000 | 0.50 |" in table
    assert "| held (today-0) | 2.000 | 3.000 | - |" in table
    assert "| longer-0 | 2.000 (0.50) | 2.000 (0.50) |" in table


def test_the_command_puts_runs_side_by_side(tmp_path, monkeypatch, capsys):
    features = draw(50, 6, 12)
    states = torch.cat([draw(50, 6, 3, seed=2), places(features).flatten(-2)], -1)
    sequences = Sequences(
        np.zeros((50, 6, 16, 16, 3), np.uint8),
        draw(50, 5, 1, seed=3).numpy(),
        np.zeros((50, 6), bool),
        states.numpy(),
        states[..., 0].numpy().copy(),
    )
    write_shard(shard_path(tmp_path / "data" / "cart", 0), sequences, {"observation": 3, "bodies": "a,b"})
    for seed, name in enumerate(NAMES):
        folder = tmp_path / "runs" / name
        with Session(folder, seed, torch.device("cpu")).initial_weights():
            write_model(folder / "model", RECIPE.model, StructVRNN(RECIPE.model), "")
        settings = {"seed": seed, "recipe": RECIPE.model_dump(mode="json")}
        (folder / "run.json").write_text(json.dumps(settings))
        save_array(folder / "features" / "cart.npy", features.numpy())
    options = {"data": tmp_path / "data", "runs-folder": tmp_path / "runs", "out": tmp_path / "i.json"}
    options |= {"sequences": 10, "fitted": 30}
    options |= {f"recipe.{name}": getattr(HEAD, name) for name in ("steps", "batch", "observed", "tested")}
    flags = ["--runs", *NAMES, *(f"--{name}={value}" for name, value in options.items())]
    monkeypatch.setattr(sys, "argv", ["evaluate", "imagination", *flags])
    evaluate.main()
    content = json.loads((tmp_path / "i.json").read_text())
    assert [row["run"] for row in content["rows"]] == [*NAMES]
    assert all(len(row[kind]) == 3 for row in content["rows"] for kind in ("bodies", "rewards", "held"))
    assert "error of bodies, px" in capsys.readouterr().out
    job = ImaginationEvaluation(runs=("nowhere",), runs_folder=tmp_path / "runs", data=tmp_path / "data")
    with pytest.raises(ValueError, match="nowhere is no finished run"):
        evaluate_imagination(job, "")
