"""Rows and tables from the records of episodes."""

from typing import Any

import numpy as np
import pytest

from envs.dmc.world import DmcWorld
from envs.push.world import PushWorld
from envs.world import Column, World, mean_column
from planner.evaluation.results import COLUMNS, find_columns, markdown_table, summarise
from world_models.statistics import bootstrap_interval, mcnemar, wilson_interval

ROW_KEYS = {
    "planner",
    "servo",
    "episodes",
    "success_rate",
    "success_ci95",
    "won",
    "lost",
    "mcnemar_p",
    "strict_rate",
    "position_error_mean",
    "position_error_std",
    "initial_error_mean",
    "steps_mean",
    "keyframes",
    "planned_whole_rate",
    "plans_through_wall",
    "model_steps_mean",
    "simulator_steps_mean",
    "goals_unseen",
    "seconds_per_plan_p50",
    "seconds_per_step_p50",
}


def record(distance: float) -> dict[str, Any]:
    return {
        "distance": distance,
        "initial_distance": 1.3,
        "steps": 40,
        "keyframes": 6,
        "planned": 5,
        "planned_whole": 4,
        "plan_crosses_wall": distance > 0.5,
        "model_steps": 3600,
        "simulator_steps": 64000,
        "plan_seconds": [0.2],
        "step_seconds": [0.1, 0.3],
    }


def summary(*records: dict[str, Any]) -> dict[str, Any]:
    labels = {"planner": "keyin", "servo": "simulator"}
    return summarise(labels, records, PushWorld.columns, {"keyin, simulator": records})


def table(row: dict[str, Any]) -> str:
    return markdown_table([row], ("planner", "servo"), PushWorld.columns)


def episodes(returns: list[float]) -> list[dict[str, Any]]:
    return [
        {
            "return": value,
            "steps": 250,
            "model_steps": 1000,
            "simulator_steps": 0,
            "decision_seconds": [0.1, 0.3],
        }
        for value in returns
    ]


def controlled(by_arm: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    return [
        summarise({"task": "reacher-easy", "arm": arm}, found, DmcWorld.columns, by_arm)
        for arm, found in by_arm.items()
    ]


def test_wilson_interval_matches_published_values() -> None:
    # Newcombe (1998), table I: 81 of 263, 15 of 148, 0 of 20.
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson_interval(15, 148) == pytest.approx((0.0624, 0.1605), abs=1e-4)
    assert wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert wilson_interval(20, 20)[1] == 1.0


def test_bootstrap_interval_is_near_that_of_a_normal_mean() -> None:
    low, high = bootstrap_interval(np.arange(100.0))
    half = 1.96 * (9999 / 12) ** 0.5 / 10
    assert (low, high) == pytest.approx((49.5 - half, 49.5 + half), abs=0.3)


def test_mcnemar_is_the_exact_binomial_test() -> None:
    # 9 of 10 or more, either way: 2 (1 + 10) / 1024.
    assert mcnemar(9, 1) == mcnemar(1, 9) == pytest.approx(22 / 1024)
    assert mcnemar(0, 0) == mcnemar(3, 3) == 1.0
    assert mcnemar(0, 20) == pytest.approx(2 / 2**20)


def test_every_arm_is_held_against_the_first_one_episode_by_episode() -> None:
    arms = {
        "keyin, simulator": [record(d) for d in (0.1, 0.1, 0.1, 0.9, 0.1)],
        "jumpy, simulator": [record(d) for d in (0.9, 0.9, 0.9, 0.1, 0.2)],
    }
    rows = [
        summarise({"planner": who, "servo": "simulator"}, found, PushWorld.columns, arms)
        for who, found in arms.items()
    ]
    assert (rows[0]["won"], rows[0]["lost"], rows[0]["mcnemar_p"]) == (None, None, None)
    assert (rows[1]["won"], rows[1]["lost"]) == (1, 3)
    assert rows[1]["mcnemar_p"] == pytest.approx(10 / 16)
    first, second = table(rows[0]), table(rows[1])
    assert "| - | 80.0 % |" in first and "| 1 / 3 (0.62) | 20.0 % |" in second


def test_rows_of_pushing_summarise_their_episodes() -> None:
    row = summary(record(0.1), record(0.2), record(0.9), record(0.3))
    assert set(row) == ROW_KEYS
    assert row["success_rate"] == 0.5  # 0.30 itself is not below 0.30
    assert row["strict_rate"] == 0.25
    assert row["position_error_mean"] == pytest.approx(0.375)
    assert row["seconds_per_step_p50"] == pytest.approx(0.2)
    assert (row["planned_whole_rate"], row["plans_through_wall"]) == (0.8, 1)
    assert row["simulator_steps_mean"] == 64000
    planless = summary(record(0.1) | {"planned": 0, "planned_whole": 0})
    assert planless["plans_through_wall"] is planless["planned_whole_rate"] is None
    assert "| - | - |" in table(planless)
    assert "50.0 %" in table(row)
    assert table(row).splitlines()[0] == (
        "| planner | servo | n | success < 0.30 (95 % CI) | won / lost against the first (p) | strict < 0.15 "
        "| position error, mean ± sd "
        "| whole keyframes | plans through wall | steps | model steps | simulated steps "
        "| s / plan | s / step |"
    )
    unseen = summary(record(1.3) | {"plan_seconds": [], "step_seconds": []})
    assert (row["goals_unseen"], unseen["goals_unseen"], unseen["seconds_per_plan_p50"]) == (0, 1, 0.0)


def test_rows_compare_every_arm_with_true_dynamics_and_chance() -> None:
    rows = controlled(
        {"learned": episodes([90, 70]), "simulator": episodes([100, 100]), "random": episodes([10, 30])}
    )
    learned, simulator, random = rows
    assert (learned["return_mean"], learned["of_simulator"], learned["of_random"]) == (80, 0.8, 4)
    assert learned["return_std"] == pytest.approx(200**0.5)
    assert simulator["return_ci95"] == [100, 100]
    assert random["seconds_per_decision_p50"] == pytest.approx(0.2)
    alone = controlled({"learned": episodes([5]), "random": episodes([0])})[0]
    assert (alone["of_simulator"], alone["of_random"], alone["return_std"]) == (None, None, None)
    assert alone["return_ci95"] is None
    table = markdown_table(
        [learned, alone, learned | {"of_random": 4e9}], ("task", "arm"), DmcWorld.columns
    ).splitlines()
    assert table[0] == (
        "| task | arm | n | return, mean ± sd (95 % CI) | of simulator | of random | steps | imagined steps "
        "| s / decision |"
    )
    assert "80.0 ± 14.1 (70.0 to 90.0) | 80 % | 4.0 ×" in table[2]
    assert "| - | - |" in table[3]
    assert "| > 1000 × |" in table[4]


def test_imagined_steps_are_those_of_models_and_of_true_dynamics() -> None:
    (row,) = controlled({"simulator": [record | {"simulator_steps": 24} for record in episodes([1, 2])]})
    assert row["model_steps_mean"] == 1024


def test_rows_that_are_older_than_a_column_have_a_dash_in_it() -> None:
    row = summary(record(0.1))
    del row["model_steps_mean"]
    assert "| 40.0 | - | 64,000 |" in table(row)


def test_columns_of_the_closed_loop_are_found_by_their_names() -> None:
    own = mean_column("return", "return_mean", "return")
    assert find_columns([own, "steps"]) == [own, COLUMNS["steps"]]
    assert [column.title for column in find_columns(World.columns)] == [
        "return",
        "steps",
        "imagined steps",
        "s / decision",
    ]
    assert all(isinstance(column, Column) for column in COLUMNS.values())


def test_seconds_of_rows_without_any_are_zero() -> None:
    (row,) = controlled({"random": [record | {"decision_seconds": []} for record in episodes([1])]})
    assert row["seconds_per_decision_p50"] == 0.0


def test_one_episode_has_no_interval() -> None:
    [row] = controlled({"learned": episodes([30])})
    table = markdown_table([row], ("task", "arm"), DmcWorld.columns)
    assert "30.0 (one episode: no interval)" in table and "±" not in table.splitlines()[-1]
    assert bootstrap_interval(np.array([30.0])) is None
