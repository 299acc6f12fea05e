"""Planners in a toy environment that knows nothing of this project, with models of its pictures."""

import json
import subprocess
import sys
from dataclasses import replace

import dot_room
import numpy as np
import pytest
from dot_room_models import ENV, SMALL, make_models

from planner.evaluation.films import is_film_of
from planner.evaluation.gym.run import Gym
from planner.evaluation.run import evaluate
from planner.evaluation.settings import Settings
from planner.evaluation.worker import Worker


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Data, KeyIn and Struct-VRNN, of two training steps a stage."""
    return make_models(tmp_path_factory.mktemp("gym"))


@pytest.fixture
def run(made, tmp_path):
    _, keyin, dynamics = made
    return Gym(
        env=ENV,
        model=keyin,
        world=dynamics,
        planners="keyin,flat,expert,random",
        episodes=2,
        offset="8",
        fresh=4,
        workers=1,
        settings=SMALL,
        out=tmp_path / "gym.json",
    )


def test_every_planner_has_a_row_and_the_expert_arrives(run, jobs_here):
    result, _ = evaluate(replace(run, video=run.out.parent / "films"))
    rows = {row["planner"]: row for row in result["rows"]}
    assert list(rows) == ["keyin", "flat", "expert", "random"]
    assert rows["keyin"]["keyframes"] == 3 and rows["flat"]["keyframes"] is None
    assert rows["expert"]["success_rate"] >= rows["random"]["success_rate"]
    lines = [
        json.loads(line) for line in (run.out.parent / "gym.json.episodes.jsonl").read_text().splitlines()
    ]
    assert all(line["environment_steps"] <= 16 and line["steps"] <= 8 for line in lines)
    followed = next(line for line in lines if line["planner"] == "keyin")
    assert len(followed["plan_seconds"]) == -(-followed["steps"] // 2), "a plan every other step"
    assert "success (95 % CI)" in result["table"] and result["manifests"]["8"]["name"] == "fresh-8"
    assert len(list((run.out.parent / "films").glob("*.mp4"))) == 8
    assert not any(is_film_of(path, "nobody") for path in (run.out.parent / "films").glob("*.mp4"))
    before = run.out.read_bytes()
    again, _ = evaluate(replace(run, video=run.out.parent / "films"))
    assert again["rows"] == result["rows"] and run.out.read_bytes() == before


def test_the_same_seed_gives_the_same_actions(run):
    worker, again = Worker(run), Worker(run)
    one, other = (w.outcome(("keyin", "8"), 0) for w in (worker, again))
    assert all(np.array_equal(a, b) for a, b in zip(one.actions, other.actions, strict=True))
    assert not np.array_equal(
        one.actions[0], Worker(replace(run, seed=1)).outcome(("keyin", "8"), 0).actions[0]
    )


def test_offsets_have_budgets_of_their_own(run, jobs_here):
    result, found = evaluate(replace(run, planners="random,expert", offset="4,8", episodes=3))
    assert [(row["offset"], row["planner"]) for row in result["rows"]] == [
        ("4", "random"),
        ("4", "expert"),
        ("8", "random"),
        ("8", "expert"),
    ]
    most = {offset: max(r["environment_steps"] for r in found["random", offset]) for offset in ("4", "8")}
    assert most["4"] <= 8 and most["8"] <= 16
    assert result["rows"][0]["won"] == result["rows"][0]["lost"] == 0, "the first is compared with itself"


def test_subgoals_can_be_pursued_instead(run):
    rules = SMALL.episode.model_copy(update={"follow": False, "replan_every": None})
    pursuing = replace(run, settings=SMALL.model_copy(update={"episode": rules}))
    worker = Worker(pursuing)
    team = worker.team(("keyin", "8"))
    assert team.config.subgoal_radius != rules.subgoal_radius, "as was calibrated"
    assert team.config.passing_radius == team.config.subgoal_radius, "in the goal's own units"
    outcome = worker.outcome(("keyin", "8"), 0)
    assert len(outcome.plans) == 1 and len(outcome.plans[0]) == 2, "three keyframes, the last one is the goal"


def test_pairs_come_from_data_where_no_new_episodes_are_asked_for(run, made):
    recorded = replace(run, fresh=None, data=made[0])
    assert recorded.starts(("flat", "8")).name == "data-8"
    with pytest.raises(ValueError, match="--data FOLDER, or from new episodes: --fresh SEED"):
        replace(run, fresh=None).starts(("flat", "8"))


def test_goals_of_the_environment_itself_are_used_where_it_cannot_be_placed(run, jobs_here):
    own = replace(run, env="dot_room:DotRoomGoals-v0", planners="flat,random", fresh=None)
    result, found = evaluate(own)
    assert [row["offset"] for row in result["rows"]] == ["-", "-"]
    assert all(record["steps"] <= 20 for records in found.values() for record in records)
    with pytest.raises(ValueError, match="leave out expert"):
        replace(own, planners="expert").trials()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"planners": "jumpy"}, "unknown planner jumpy; choose from keyin, flat, expert, random"),
        ({"offset": "25,x"}, "--offset must be numbers of steps"),
        ({"env": "NoSuch-v0"}, "--env NoSuch-v0 cannot be made"),
        ({"env": "dot_room:DotRoomBlind-v0"}, "give a hook as --hook MODULE:CALLABLE"),
        ({"budget": 0.0}, "--budget must be above 0"),
        ({"episodes": 0}, "--episodes and --workers must be at least 1"),
        ({"model": "nothing"}, "no model 'nothing'"),
    ],
)
def test_what_cannot_be_done_is_said(run, change, words):
    with pytest.raises(ValueError, match=words):
        evaluate(replace(run, **change))
    assert not run.out.exists()


def test_models_of_something_else_are_refused(run, made):
    world = Worker(run).world(("flat", "8"))
    with pytest.raises(ValueError, match=r"has no goal; python -m world_models\.train struct-vrnn makes"):
        replace(run, world="struct-vrnn-dmc").team(("flat", "8"), world)
    with pytest.raises(ValueError, match="has no goal that plans could be searched for"):
        replace(run, model="keyin-brownian").team(("keyin", "8"), world)


def test_models_of_objects_by_colour_plan_as_well(run):
    worker = Worker(replace(run, model="keyin-push", settings=Settings(servo=SMALL.servo)))
    team = worker.team(("keyin", "8"))
    assert team.config.subgoal_radius is None and team.goal is not None


def test_the_command_says_what_it_needs():
    words = [sys.executable, "-m", "planner.evaluate", "gym", "--env", "Nothing-v0"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode != 0 and "--model" in done.stdout + done.stderr
    assert dot_room.ROAM is not None
