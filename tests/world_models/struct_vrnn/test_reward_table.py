"""What the table of reward prediction says about errors that are known."""

import numpy as np
import pytest

from world_models.struct_vrnn.rewards.table import markdown_table, summarise


def row(arm, task, seed, error):
    return {"arm": arm, "task": task, "seed": seed, "mse_over_null": error, "per_step": [error] * 20}


ROWS = [
    *(row("struct-vrnn", "a", seed, error) for seed, error in enumerate((0.2, 0.4))),
    *(row("struct-vrnn", "b", seed, 0.5) for seed in range(2)),
    *(row("cnn-vrnn", task, 0, error) for task, error in (("a", 0.35), ("b", 0.4))),
    *(row("null", task, 0, 1.0) for task in "ab"),
    *(row("state-oracle", task, seed, e) for task, e in (("a", 0.1), ("b", 0.2)) for seed in range(3)),
]


def test_the_summary_counts_seeds_and_tasks():
    summary = summarise(ROWS)
    struct = summary["arms"]["struct-vrnn"]
    closed = [(0.8 / 0.9 + 0.5 / 0.8) / 2, (0.6 / 0.9 + 0.5 / 0.8) / 2]
    assert struct["mean"] == pytest.approx(0.4) and struct["closed"] == pytest.approx(np.mean(closed))
    half = 12.706 * np.std(closed, ddof=1) / 2**0.5
    assert struct["closed_ci95"] == pytest.approx(half)
    assert summary["arms"]["cnn-vrnn"]["mean_ci95"] is None
    assert summary["arms"]["null"]["closed"] == 0.0
    assert summary["arms"]["state-oracle"]["closed"] == pytest.approx(1.0)
    assert summary["struct_vrnn_beats_cnn_vrnn"] == ["a"]
    without = [row for row in ROWS if row["arm"] != "cnn-vrnn"]
    assert summarise(without)["struct_vrnn_beats_cnn_vrnn"] is None


def test_the_table_as_people_read_it(tmp_path):
    lines = markdown_table({"rows": ROWS, "summary": summarise(ROWS)}).splitlines()
    assert lines[0] == "| MSE / null | seeds | a | b | mean | closed |"
    assert lines[2].startswith("| struct-vrnn | 2 | 0.300 ± 1.271 | 0.500 ± 0.000 | 0.400 ± 0.635 |")
    assert lines[3] == "| cnn-vrnn | 1 | 0.350 | 0.400 | 0.375 | 0.736 |"
    assert lines[-1] == "struct-vrnn is better than cnn-vrnn on 1 of 2 tasks."
