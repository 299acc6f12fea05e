"""The comparison: all solvers in all rows, told apart by what they take and find."""

import pytest
import torch

from envs.push.env import PushEnv
from envs.push.episodes import load_manifest
from planner.loading import load_planner
from planner.peers import comparison
from planner.peers.comparison import Size, compare, markdown
from planner.peers.figure import draw
from planner.peers.problem import problems
from planner.peers.solvers import PLAIN
from world_models.frames import to_tensor
from world_models.interface import Context


@pytest.fixture(scope="module")
def scenes():
    env, firsts, goals = PushEnv(), [], []
    for scene in load_manifest("push-400").starts[:2]:
        picture, info = env.reset(options={"scene": scene})
        firsts.append(to_tensor(picture))
        goals.append(to_tensor(info["goal"]))
    env.close()
    return Context(torch.stack(firsts)[:, None], torch.zeros(2, 0, 2)), torch.stack(goals)


@pytest.fixture
def two(scenes):
    return problems(load_planner("keyin-push-irregular"), *scenes)


@pytest.fixture
def brief(monkeypatch):
    default = Size(6, 2, 1, 1)
    monkeypatch.setattr(comparison, "others", lambda: ([], ["torchrl CEMPlanner"]))
    monkeypatch.setattr(comparison, "DEFAULT", default)
    monkeypatch.setattr(comparison, "SIZES", (default, Size(8, 1, 2, 1)))
    for name, values in {
        "ITERATIONS": (1, 2),
        "CANDIDATES": (4,),
        "LENGTHS": (1,),
        "BATCHES": (1, 2),
    }.items():
        monkeypatch.setattr(comparison, name, values)
    monkeypatch.setattr(comparison, "GROWN", 1)


def test_every_solver_is_in_every_table(two, brief, tmp_path):
    result = compare(two)
    cells = {(row["size"], row["way"], row["solver"]) for row in result["rows"]}
    ours = {"pictures": "ours", "reader": "ours", "best": comparison.WHOLE}
    assert cells == {
        (size, way, solver)
        for size in ("6 x 2 x 1", "8 x 1 x 2")
        for way in ours
        for solver in (ours[way], PLAIN.name)
    }
    assert all(row["times_ours"] == 1.0 for row in result["rows"] if row["solver"] == ours[row["way"]])
    assert {row["iterations"] for row in result["curves"]} == {1, 2}
    assert {row["batch"] for row in result["growth"]["batch"]} == {1, 2}
    table = markdown(result)
    assert "Not installed, and not measured: torchrl CEMPlanner." in table
    assert f"| 6 x 2 x 1 | best | {PLAIN.name} |" in table
    draw(result, tmp_path / "peers.png")
    assert (tmp_path / "peers.png").read_bytes().startswith(b"\x89PNG")


def test_rows_score_and_are_worth_the_same_together_and_alone(two):
    decisions = torch.randn(2, 4, 3, 4, generator=torch.Generator().manual_seed(0))
    together = two.score(two.by_pictures)(decisions)
    worth = two.true_cost(decisions[:, 0])
    for row in range(2):
        alone = two.row(row)
        torch.testing.assert_close(alone.score(alone.by_pictures)(decisions[row : row + 1])[0], together[row])
        torch.testing.assert_close(worth[row], together[row, 0])


def test_a_model_without_a_reader_is_refused(scenes):
    ready = load_planner("keyin-push-irregular")
    ready.planner.appraise = None
    with pytest.raises(ValueError, match="reads no places off embeddings"):
        problems(ready, *scenes)
