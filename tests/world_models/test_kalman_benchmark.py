import json

import pytest

from world_models.kalman.benchmark import Benchmark, benchmark


def test_both_filters_agree_and_the_figures_are_written(tmp_path):
    out = tmp_path / "bench.json"
    result = benchmark(Benchmark(batch=3, steps=4, rounds=1, out=out))
    assert json.loads(out.read_text()) == result
    for part in ("all_observed", "some_missing"):
        figures = result[part]
        assert figures["largest_difference"] < 1e-9
        assert figures["ratio"] == figures["filterpy_ms"] / figures["batched_ms"] > 0.0


@pytest.mark.slow
def test_a_batch_of_512_is_twenty_times_as_fast_as_a_loop(tmp_path):
    result = benchmark(Benchmark(batch=512, steps=30, out=tmp_path / "bench.json"))
    assert result["all_observed"]["ratio"] >= 20.0
