import json

from world_models.kalman.benchmark import Benchmark, benchmark


def test_both_filters_agree_and_the_figures_are_written(tmp_path):
    out = tmp_path / "bench.json"
    result = benchmark(Benchmark(batch=3, steps=4, rounds=1, out=out))
    assert json.loads(out.read_text()) == result
    for part in ("all_observed", "some_missing"):
        figures = result[part]
        assert figures["largest_difference"] < 1e-9
        assert figures["ratio"] == figures["filterpy_ms"] / figures["batched_ms"] > 0.0
