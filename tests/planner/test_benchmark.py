from types import SimpleNamespace

import pytest
import torch

from envs.push.env import PushEnv
from planner import benchmark
from planner.benchmark import Benchmark, dmc_decision, learned_step
from planner.low_levels.learned import DMC_SERVO
from planner.search.servo import ServoConfig
from world_models.checkpoint import write_model
from world_models.segmenter import PUCK_GOAL
from world_models.struct_vrnn.model import StructVRNN
from world_models.struct_vrnn.presets import DEBUG

ONCE = Benchmark(repeats=1)


@pytest.fixture
def world(tmp_path):
    """A small model, without training, that knows puck and finger."""
    config = DEBUG.model.model_copy(
        update={"image_size": 64, "bodies": ("puck", "finger"), "goal": PUCK_GOAL}
    )
    with torch.random.fork_rng():
        torch.set_rng_state(torch.Generator().manual_seed(0).get_state())
        write_model(tmp_path / "world", config, StructVRNN(config), "")
    return str(tmp_path / "world")


def test_a_learned_step_has_its_time_and_the_speed_of_its_imagination(world):
    env = PushEnv()
    figures = learned_step(ONCE, env, world)
    env.close()
    assert 0 < figures["step_ms_p50"] <= figures["step_ms_p95"]
    imagined = figures["imagined_steps_per_second"] * figures["step_ms_p50"] / 1e3
    assert imagined == pytest.approx(ServoConfig().imagined_steps)


def test_a_decision_by_predicted_reward_is_of_the_shipped_search():
    figures = dmc_decision(ONCE)
    imagined = figures["imagined_steps_per_second"] * figures["step_ms_p50"] / 1e3
    assert imagined == pytest.approx(DMC_SERVO.imagined_steps)


@pytest.mark.parametrize(
    ("shipped", "named", "measured"),
    [((), None, None), ((benchmark.USUAL_WORLD,), None, benchmark.USUAL_WORLD), ((), "here", "here")],
)
def test_the_learned_servo_is_measured_where_there_is_a_model(
    tmp_path, monkeypatch, shipped, named, measured
):
    for part in ("matmul", "planning", "servo", "dmc_decision", "rendering", "rollouts"):
        monkeypatch.setattr(benchmark, part, lambda *_: {"ms": 1.0})
    monkeypatch.setattr(benchmark, "learned_step", lambda settings, env, world: {"world": world})
    monkeypatch.setattr(benchmark, "markdown", lambda result: "|")
    monkeypatch.setattr(benchmark, "available_world_models", lambda: ("struct-vrnn-dmc", *shipped))
    result = benchmark.benchmark(Benchmark(world=named, out=tmp_path / "b.json"))
    assert result.get("learned servo", {}).get("world") == measured
    assert set(benchmark.PARTS) - {"learned servo"} <= set(result)
    assert (result["made_by"], result["table"]) == ("planner.benchmark", "|")


def test_figures_become_a_table():
    parts = {part: {"some_ms_p50": 1234.5} for part in ("matmul", "plan", "servo", "dmc", "render")}
    machine = {"processor": "x", "cores": 2, "torch": "2"}
    table = benchmark.markdown({"machine": machine, "threads": 1, "repeats": 3, **parts})
    assert table.count("\n") == 6
    assert "| plan: some ms p50 | 1,234 |" in table or "| plan: some ms p50 | 1,235 |" in table


def test_median_leaves_the_first_calls_out(monkeypatch):
    clock = iter([50.0, 60.0, 0.0, 0.001, 0.0, 0.003, 0.0, 0.002])
    monkeypatch.setattr(benchmark, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    p50, p95 = benchmark.median_ms(lambda: None, repeats=3)
    assert p50 == pytest.approx(2.0)
    assert p95 == pytest.approx(2.9)
