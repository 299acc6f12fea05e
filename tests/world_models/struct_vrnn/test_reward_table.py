"""What the table of reward prediction says about errors that are known."""

import numpy as np
import pytest

from world_models.struct_vrnn.rewards.table import markdown_table, summarise


def row(arm, task, seed, error, spread=0.02):
    """Forty sequences whose errors are the given one on average."""
    errors = error + spread * np.tile([-1.0, 1.0], 20)
    return {"arm": arm, "task": task, "seed": seed, "mse_over_null": error, "errors": errors.tolist()}


ROWS = [
    *(row("struct-vrnn", "a", seed, error) for seed, error in enumerate((0.2, 0.22))),
    *(row("struct-vrnn", "b", seed, 0.5) for seed in range(2)),
    *(row("cnn-vrnn", task, 0, error) for task, error in (("a", 0.35), ("b", 0.4))),
    *(row("null", task, 0, 1.0) | {"errors": None} for task in "ab"),
    *(row("state-oracle", task, seed, e) for task, e in (("a", 0.1), ("b", 0.2)) for seed in range(3)),
]


def test_the_summary_counts_seeds_and_tasks():
    summary = summarise(ROWS)
    struct = summary["arms"]["struct-vrnn"]
    assert struct["seeds"] == 2
    mean, low, high = struct["mean"]
    assert mean == pytest.approx((0.21 + 0.5) / 2) and low < mean < high < mean + 0.02
    assert struct["closed"][0] == pytest.approx((0.79 / 0.9 + 0.5 / 0.8) / 2)
    assert summary["arms"]["null"]["closed"] == [0.0, None, None]
    assert summary["arms"]["state-oracle"]["closed"][0] == pytest.approx(1.0)
    assert summary["struct_vrnn_beats_cnn_vrnn"] == summary["apart"] == ["a"]
    without = [row for row in ROWS if row["arm"] != "cnn-vrnn"]
    assert summarise(without)["struct_vrnn_beats_cnn_vrnn"] is None


def test_wins_whose_intervals_meet_are_not_apart():
    rows = [row | {"errors": row["errors"] and (10.0 * np.array(row["errors"])).tolist()} for row in ROWS]
    wide = [r | {"errors": row(r["arm"], r["task"], 0, r["mse_over_null"], 2.0)["errors"]} for r in rows]
    assert summarise(wide)["struct_vrnn_beats_cnn_vrnn"] == ["a"] and summarise(wide)["apart"] == []


def test_seeds_that_differ_widen_the_interval():
    alike = [row("x", "a", seed, 0.5) for seed in range(2)] + [row("state-oracle", "a", 0, 0.1)]
    apart = [row("x", "a", seed, error) for seed, error in enumerate((0.4, 0.6))] + alike[-1:]
    widths = [np.diff(summarise(rows)["arms"]["x"]["mean"][1:])[0] for rows in (alike, apart)]
    assert widths[1] == pytest.approx(0.2, abs=0.03) and widths[0] < 0.03


def test_the_table_as_people_read_it():
    lines = markdown_table({"rows": ROWS, "summary": summarise(ROWS)}).splitlines()
    assert lines[0] == "| MSE / null | seeds | a | b | mean | closed |"
    assert lines[2].startswith("| struct-vrnn | 2 | 0.210 (0.19")
    assert lines[4] == "| null | 1 | 1.000 | 1.000 | 1.000 | 0.000 |"
    assert lines[-1] == "struct-vrnn is better than cnn-vrnn on 1 of 2 tasks, with intervals apart on 1."
