import json
from dataclasses import replace

import pytest

from planner.evaluate import Push, evaluate_push
from planner.evaluation.settings import Settings
from planner.pursuit import EpisodeConfig
from planner.search.servo import ServoConfig
from tests.planner.evaluation.test_results import ROW_KEYS


def test_evaluation_writes_its_results_and_resumes(tmp_path):
    run = Push(planners="random", episodes=2, workers=1, out=tmp_path / "r.json")
    first = evaluate_push(run)
    written = json.loads(run.out.read_text())
    assert written == first
    assert written["made_by"] == "planner.evaluate push"
    assert written["table"].startswith("| planner | servo | n | success < 0.30")
    assert written["env"] == "waymark/Push-v0"
    assert written["manifest"]["name"] == "push-400"
    assert set(written["rows"][0]) >= ROW_KEYS
    assert run.out.with_suffix(".png").stat().st_size > 1000
    journal = tmp_path / "r.json.episodes.jsonl"
    lines = journal.read_text().splitlines()
    assert len(lines) == 2
    # A killed run leaves a torn last line; only that episode is run again, with the same outcome.
    journal.write_text(lines[0] + "\n" + lines[1][:20])
    assert evaluate_push(run)["rows"][0]["position_error_mean"] == first["rows"][0]["position_error_mean"]
    assert journal.read_text().splitlines()[0] == lines[0]
    # Another planner's outcomes in the same journal are left alone.
    foreign = lines[0].replace('"random"', '"flat"')
    journal.write_text(f"{foreign}\n{lines[0]}\n")
    evaluate_push(run)
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
        evaluate_push(Push(**settings))
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
    with pytest.raises(ValueError, match="leave out random"):
        Push(planners="keyin,random", settings=settings).trials()
    for servo in ("learned", "simulator"):
        alone = Push(planners="keyin", servo=servo, settings=settings, compare=False)
        assert alone.trials() == [("keyin", servo)]


def test_flat_deep_searches_four_times_as_much():
    settings = Settings(servo=ServoConfig(horizon=5))
    assert settings.search("flat-deep").imagined_steps == 4 * settings.search("flat").imagined_steps
    assert settings.search("flat-deep").horizon == 10


def test_other_frozen_episodes_are_named_and_of_the_task() -> None:
    run = Push(task="push-two-walls", manifest="push-two-walls-m3-200", episodes=3)
    trial = ("keyin", "simulator")
    assert run.starts(trial).name == "push-two-walls-m3-200"
    assert run.starts(trial).starts != replace(run, manifest=None).starts(trial).starts
    with pytest.raises(ValueError, match="add --task push-two-walls"):
        replace(run, task="push").starts(trial)
    with pytest.raises(ValueError, match="not both"):
        replace(run, fresh=3).starts(trial)


def test_a_rhythm_or_a_number_of_keyframes_picks_models_that_have_them() -> None:
    run = Push(planners="keyin,jumpy,surprise,random-times")
    models = {
        None: "keyin-push jumpy-push surprise-push random-times-push",
        "pauses": "keyin-push-pauses jumpy-push-pauses surprise-push-pauses random-times-push-pauses",
    }
    for rhythm, names in models.items():
        assert list(replace(run, rhythm=rhythm).weights().values()) == names.split()
    few = replace(run, planners="keyin,jumpy", keyframes=3)
    assert few.weights() == {"keyin": "keyin-push-regular", "jumpy": "jumpy-push-regular"}
    assert replace(few, model="runs/a", jumpy="runs/b").weights() == {"keyin": "runs/a", "jumpy": "runs/b"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keyframes": 0}, "from 1 to 30"),
        ({"keyframes": 31}, "from 1 to 30"),
        ({"constant": 0}, "--constant at least 1"),
        ({"disturbance": -0.1}, "--disturbance must be at least 0"),
    ],
)
def test_numbers_out_of_range_are_refused(change, message) -> None:
    with pytest.raises(ValueError, match=message):
        replace(Push(planners="oracle-random"), **change).starts(("oracle-random", "simulator"))
