import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from planner import benchmark
from planner.evaluation import rollout_benchmark
from planner.evaluation.rollout_benchmark import flops_per_candidate, linearity
from world_models.struct_vrnn.config import StructVRNNConfig
from world_models.struct_vrnn.dynamics import Belief, KeypointDynamics
from world_models.struct_vrnn.fast_roll_out import foresee


def test_operations_are_those_that_torch_counts():
    dynamics = KeypointDynamics(StructVRNNConfig(actions=2, keypoints=4, latent=3, hidden=8))
    belief = Belief(torch.zeros(5, 8), torch.zeros(5, 12))
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        foresee(dynamics, belief, torch.zeros(5, rollout_benchmark.STEPS, 4))
    assert counter.get_total_flops() == 5 * flops_per_candidate(dynamics)


def test_growth_is_told_from_a_straight_line():
    counts = (400, 800, 1600, 3200)
    straight = linearity([(count, 5.0 + 0.25 * count) for count in counts])
    assert straight["linear_r2"] == pytest.approx(1.0) and 0.9 < straight["growth_exponent"] < 1.0
    square = linearity([(count, 1e-3 * count**2) for count in counts])
    assert square["linear_r2"] < 0.99 and square["growth_exponent"] == pytest.approx(2.0)


def test_every_number_of_candidates_has_a_row(monkeypatch):
    monkeypatch.setattr(rollout_benchmark, "CANDIDATES", (2, 4))
    monkeypatch.setattr(rollout_benchmark, "SATURATED", 2)
    monkeypatch.setattr(rollout_benchmark, "SIDE", 16)
    monkeypatch.setattr(rollout_benchmark, "ROUNDS", 1)
    threads = torch.get_num_threads()
    result = rollout_benchmark.rollouts()
    assert torch.get_num_threads() == threads
    assert [row["candidates"] for row in result["rows"]] == [2, 4]
    for row in result["rows"]:
        assert row["gflops"] == pytest.approx(
            3 * row["candidates"] * result["flops_per_candidate"] / (1e6 * row["ms"])
        )
        assert row["share_of_matmul"] == pytest.approx(row["gflops"] / result["matmul_gflops"])
    parts = {part: {"ms": 1.0} for part in ("matmul", "plan", "servo", "dmc", "render")}
    machine = {"machine": {"processor": "x", "cores": 2, "torch": "2"}, "threads": 1, "repeats": 3}
    table = benchmark.markdown({**machine, **parts, "rollouts": result})
    assert "| 4 | " in table and table.count("\n") == 6 + 1 + 5
