import json

import numpy as np
import pytest

from envs.dmc.episodes import load_starts
from planner.search.cem import CemConfig
from planner.search.servo import ServoConfig
from planner.suite_evaluate import Dmc, evaluate_suite
from planner.suite_results import bootstrap_interval, markdown_table, summarise

SMALL = ServoConfig(horizon=12, cem=CemConfig(candidates=8, iterations=1, bound=1.0))


def episodes(returns: list[float]) -> list[dict]:
    return [
        {"return": float(r), "steps": 250, "model_steps": 1000, "step_seconds": [0.1, 0.3]} for r in returns
    ]


def test_rows_compare_every_arm_with_true_dynamics_and_chance():
    rows = summarise(
        "reacher-easy",
        {"learned": episodes([90, 70]), "simulator": episodes([100, 100]), "random": episodes([10, 30])},
    )
    learned, simulator, random = rows
    assert (learned["return_mean"], learned["of_simulator"], learned["of_random"]) == (80, 0.8, 4)
    assert learned["return_std"] == pytest.approx(200**0.5)
    assert simulator["return_ci95"] == [100, 100]
    assert random["seconds_per_decision_p50"] == pytest.approx(0.2)
    alone = summarise("reacher-easy", {"learned": episodes([5]), "random": episodes([0])})[0]
    assert (alone["of_simulator"], alone["of_random"], alone["return_std"]) == (None, None, 0)
    table = markdown_table([learned, alone, learned | {"of_random": 4e9}]).splitlines()
    assert "80.0 ± 14.1 (70.0 to 90.0) | 80 % | 4.0 ×" in table[2]
    assert "| - | - |" in table[3]
    assert "| > 1000 × |" in table[4]


def test_bootstrap_interval_is_near_that_of_a_normal_mean():
    low, high = bootstrap_interval(np.arange(100.0))
    half = 1.96 * (9999 / 12) ** 0.5 / 10
    assert (low, high) == pytest.approx((49.5 - half, 49.5 + half), abs=0.3)


def test_evaluation_writes_its_results_and_resumes(tmp_path):
    run = Dmc(
        task="reacher-easy",
        arms="simulator,random",
        episodes=2,
        steps=4,
        workers=1,
        settings=SMALL,
        horizon=3,
        out=tmp_path / "r.json",
        video=tmp_path / "films",
    )
    first = evaluate_suite(run)
    assert json.loads(run.out.read_text()) == first
    assert first["manifest"]["fingerprint"] == load_starts().fingerprint
    assert [(row["task"], row["arm"], row["steps_mean"]) for row in first["rows"]] == [
        ("reacher-easy", "simulator", 4),
        ("reacher-easy", "random", 4),
    ]
    assert [row["model_steps_mean"] for row in first["rows"]] == [8 * 3 * 4, 0]
    films = sorted(path.name for path in (tmp_path / "films").iterdir())
    assert films == ["reacher-easy-random-reward.mp4", "reacher-easy-simulator-reward.mp4"]
    journal = tmp_path / "r.json.episodes.jsonl"
    lines = journal.read_text().splitlines()
    assert len(lines) == 4
    # Only the episode whose line a killed run tore is run again, with the same outcome.
    journal.write_text("\n".join(lines[:3]) + "\n" + lines[3][:20])
    again = evaluate_suite(run)
    assert journal.read_text().splitlines()[:3] == lines[:3]
    for old, new in zip(first["rows"], again["rows"], strict=True):
        assert (old["return_mean"], old["return_ci95"]) == (new["return_mean"], new["return_ci95"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"arms": "learned,magic"}, "choose from simulator, learned, random"),
        ({"task": "walker-fly"}, "there are acrobot-swingup"),
        ({"task": "walker-walk", "objective": "goal"}, "shows the aim of walker-walk; choose from acrobot"),
        ({"episodes": 21}, "dmc-20 has 20"),
        ({"steps": 0}, "at least 1"),
        ({"arms": "learned", "model": "struct-vrnn-mars"}, "no model 'struct-vrnn-mars'"),
        ({"arms": "learned", "model": "struct-vrnn-agents"}, "no reward head for 'reacher-easy'"),
    ],
)
def test_bad_settings_name_the_valid_ones(tmp_path, change, words):
    settings = {"task": "reacher-easy", "arms": "random", "workers": 1, "out": tmp_path / "r.json"} | change
    with pytest.raises(ValueError, match=words):
        evaluate_suite(Dmc(**settings))
    assert not list(tmp_path.iterdir())
