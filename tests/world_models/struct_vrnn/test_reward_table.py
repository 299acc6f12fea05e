"""What the table of reward prediction says about errors that are known."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from world_models.struct_vrnn.presets import DMC_ARMS
from world_models.struct_vrnn.rewards import figures
from world_models.struct_vrnn.rewards.table import markdown_table, summarise


def row(arm, task, seed, error, spread=0.02):
    """Forty sequences whose errors are the given one on average."""
    found = {"errors": (error + spread * np.tile([-1.0, 1.0], 20)).tolist(), "null_errors": [1.0] * 40}
    return {"arm": arm, "task": task, "seed": seed, "mse_over_null": error, **found}


ROWS = [
    *(row("struct-vrnn", "a", seed, error) for seed, error in enumerate((0.2, 0.22))),
    *(row("struct-vrnn", "b", seed, 0.5) for seed in range(2)),
    *(row("cnn-vrnn", task, 0, error) for task, error in (("a", 0.35), ("b", 0.4))),
    *(row("null", task, 0, 1.0, spread=0.0) for task in "ab"),
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
    assert summary["arms"]["state-oracle"]["closed"] == [pytest.approx(1.0), None, None]
    assert summary["struct_vrnn_beats_cnn_vrnn"] == summary["apart"] == ["a"]
    without = [row for row in ROWS if row["arm"] != "cnn-vrnn"]
    assert summarise(without)["struct_vrnn_beats_cnn_vrnn"] is None


def test_wins_whose_intervals_meet_are_not_apart():
    trained = [one for one in ROWS if one["arm"].endswith("vrnn")]
    wide = [row(one["arm"], one["task"], one["seed"], one["mse_over_null"], 2.0) for one in trained]
    wide += [one for one in ROWS if one not in trained]
    assert summarise(wide)["struct_vrnn_beats_cnn_vrnn"] == ["a"] and summarise(wide)["apart"] == []


def test_sequences_that_are_hard_for_the_null_model_too_do_not_widen_the_interval():
    """A few sequences have nearly all of the reward, and a model halves the error on each of them."""
    null = np.where(np.arange(40) % 10 == 0, 9.1, 0.1)
    rows = [
        row(arm, "a", 0, share) | {"errors": (share * null).tolist(), "null_errors": null.tolist()}
        for arm, share in (("x", 0.5), ("state-oracle", 0.2))
    ]
    found = summarise(rows)["arms"]["x"]
    assert found["tasks"]["a"] == pytest.approx([0.5, 0.5, 0.5])
    assert found["closed"] == pytest.approx([0.5 / 0.8] * 3)


def test_every_arm_has_a_colour_of_its_own(monkeypatch, tmp_path):
    drawn = []
    monkeypatch.setattr(figures, "save_figure", lambda figure, *_, **__: drawn.append(figure))
    arms = [*DMC_ARMS, "null", "state-oracle"]
    rows = [{"arm": arm, "task": "a", "seed": 0, "per_step": [0.5, 0.6]} for arm in arms]
    figures.curves(rows, 1, tmp_path / "curves.png")
    lines = {line.get_label(): to_hex(line.get_color()) for line in drawn[0].axes[0].get_lines()}
    assert len({lines[arm] for arm in arms}) == len(arms)


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
