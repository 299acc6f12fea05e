import json
from dataclasses import replace

import pytest

from planner.episode import EpisodeConfig
from planner.evaluate import Push, evaluate
from planner.evaluation.results import markdown_table, summarise, wilson_interval
from planner.search.servo import ServoConfig
from planner.settings import Settings

ROW_KEYS = {
    "planner",
    "servo",
    "episodes",
    "success_rate",
    "success_ci95",
    "strict_rate",
    "position_error_mean",
    "position_error_std",
    "initial_error_mean",
    "planned_whole_rate",
    "plans_through_wall",
    "model_steps_mean",
    "simulator_steps_mean",
    "seconds_per_plan_p50",
    "seconds_per_step_p50",
}


def record(distance: float) -> dict:
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


def test_wilson_interval_matches_published_values():
    # Newcombe (1998), table I: 81 of 263, 15 of 148, 0 of 20.
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson_interval(15, 148) == pytest.approx((0.0624, 0.1605), abs=1e-4)
    assert wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert wilson_interval(20, 20)[1] == 1.0


def test_rows_summarise_their_episodes():
    row = summarise("keyin", "simulator", [record(0.1), record(0.2), record(0.9), record(0.3)])
    assert set(row) >= ROW_KEYS
    assert row["success_rate"] == 0.5  # 0.30 itself is not below 0.30
    assert row["strict_rate"] == 0.25
    assert row["position_error_mean"] == pytest.approx(0.375)
    assert row["seconds_per_step_p50"] == pytest.approx(0.2)
    assert (row["planned_whole_rate"], row["plans_through_wall"]) == (0.8, 1)
    assert row["simulator_steps_mean"] == 64000
    planless = summarise("flat", "simulator", [record(0.1) | {"planned": 0, "planned_whole": 0}])
    assert planless["plans_through_wall"] is planless["planned_whole_rate"] is None
    assert "| - | - |" in markdown_table([planless])
    assert "50.0 %" in markdown_table([row])
    unseen = summarise("flat", "learned", [record(1.3) | {"plan_seconds": [], "step_seconds": []}])
    assert (row["goals_unseen"], unseen["goals_unseen"], unseen["seconds_per_plan_p50"]) == (0, 1, 0.0)


def test_evaluation_writes_its_results_and_resumes(tmp_path):
    run = Push(planners="random", episodes=2, workers=1, out=tmp_path / "r.json")
    first = evaluate(run)
    written = json.loads(run.out.read_text())
    assert written == first
    assert written["env"] == "waymark/Push-v0"
    assert written["manifest"]["name"] == "push-400"
    assert set(written["rows"][0]) >= ROW_KEYS
    assert run.out.with_suffix(".png").stat().st_size > 1000
    journal = tmp_path / "r.json.episodes.jsonl"
    lines = journal.read_text().splitlines()
    # A killed run leaves a torn last line; only that episode is run again, with the same outcome.
    journal.write_text(lines[0] + "\n" + lines[1][:20])
    assert evaluate(run)["rows"][0]["position_error_mean"] == first["rows"][0]["position_error_mean"]
    assert journal.read_text().splitlines()[0] == lines[0]
    # Another planner's outcomes in the same journal are left alone.
    foreign = lines[0].replace('"random"', '"flat"')
    journal.write_text(f"{foreign}\n{lines[0]}\n")
    evaluate(run)
    assert foreign in journal.read_text().splitlines()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"planners": "keyin,magic"}, "choose from keyin, jumpy"),
        ({"episodes": 401}, "--fresh SEED"),
        ({"episodes": 0}, "at least 1"),
        ({"task": "pull"}, "push-two-walls"),
        ({"planners": "keyin", "model": "keyin-pull"}, "no model 'keyin-pull'"),
    ],
)
def test_bad_settings_name_the_valid_ones(tmp_path, change, words):
    settings = {"planners": "random", "episodes": 1, "workers": 1, "out": tmp_path / "r.json"} | change
    with pytest.raises(ValueError, match=words):
        evaluate(Push(**settings))
    assert not list(tmp_path.iterdir())


def test_the_learned_servo_is_compared_with_flat_and_with_true_dynamics():
    run = Push(planners="keyin,flat,random", servo="learned")
    assert run.trials() == [
        ("keyin", "learned"),
        ("flat", "learned"),
        ("random", "none"),
        ("keyin", "simulator"),
        ("flat", "simulator"),
    ]
    assert replace(run, compare=False).trials() == run.trials()[:3]
    assert replace(run, servo="simulator").trials() == [run.trials()[k] for k in (3, 4, 2)]


def test_what_cannot_be_surprised_is_refused_before_the_first_episode():
    settings = Settings(episode=EpisodeConfig(replan="surprised"))
    with pytest.raises(ValueError, match="--servo learned --no-compare"):
        Push(planners="keyin", servo="learned", settings=settings).trials()
    alone = Push(planners="keyin", servo="learned", settings=settings, compare=False)
    assert alone.trials() == [("keyin", "learned")]


def test_flat_deep_searches_four_times_as_much():
    settings = Settings(servo=ServoConfig(horizon=5))
    assert settings.search("flat-deep").imagined_steps == 4 * settings.search("flat").imagined_steps
    assert settings.search("flat-deep").horizon == 10
