import json
from types import SimpleNamespace

import pytest

from planner import benchmark
from planner.report import Report, replace_table, report

README = (
    "before\n<!-- push-400 -->\nold\n<!-- /push-400 -->\nbetween\n<!-- bench -->\n<!-- /bench -->\nafter\n"
)
ROW = {
    "planner": "keyin",
    "servo": "simulator",
    "episodes": 400,
    "success_rate": 0.95,
    "success_ci95": [0.92, 0.97],
    "strict_rate": 0.94,
    "position_error_mean": 0.1,
    "position_error_std": 0.2,
    "initial_error_mean": 1.34,
    "steps_mean": 41.0,
    "seconds_per_plan_p50": 0.2,
    "seconds_per_step_p50": 0.07,
}


def test_tables_are_replaced_and_the_rest_is_left_alone(tmp_path):
    (tmp_path / "README.md").write_text(README)
    results = {"manifest": {"name": "push-400", "fingerprint": "ab" * 32}, "rows": [ROW]}
    (tmp_path / "r.json").write_text(json.dumps(results))
    for _ in range(2):  # filling twice changes nothing more
        report(Report(results=tmp_path / "r.json", readme=tmp_path / "README.md"))
        text = (tmp_path / "README.md").read_text()
    assert "| keyin | simulator | 400 | 95.0 % (92.0 to 97.0) | 94.0 % |" in text
    assert "old" not in text
    assert text.startswith("before\n<!-- push-400 -->\n| planner")
    assert text.endswith("<!-- /push-400 -->\nbetween\n<!-- bench -->\n<!-- /bench -->\nafter\n")


def test_missing_place_is_named():
    with pytest.raises(ValueError, match="push-fresh"):
        replace_table(README, "push-fresh", "|")


def test_benchmark_figures_become_a_table():
    figures = {part: {"some_ms_p50": 1234.5} for part in ("matmul", "plan", "http", "servo", "render")}
    machine = {"processor": "x", "cores": 2, "torch": "2"}
    table = benchmark.markdown({"machine": machine, "threads": 1, "repeats": 3, **figures})
    assert table.count("\n") == 6
    assert "| http: some ms p50 | 1,234 |" in table or "| http: some ms p50 | 1,235 |" in table


def test_median_leaves_the_first_calls_out(monkeypatch):
    clock = iter([50.0, 60.0, 0.0, 0.001, 0.0, 0.003, 0.0, 0.002])
    monkeypatch.setattr(benchmark, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    p50, p95 = benchmark.median_ms(lambda: None, repeats=3)
    assert p50 == pytest.approx(2.0)
    assert p95 == pytest.approx(2.9)
