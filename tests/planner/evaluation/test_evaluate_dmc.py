import json
from typing import Any

import numpy as np
import pytest

from envs.dmc.episodes import load_starts
from envs.dmc.variation import DmcVariation
from planner.episode import Outcome
from planner.evaluation.dmc import Dmc, best_frame
from planner.evaluation.run import evaluate
from planner.search.cem import CemConfig
from planner.search.servo import ServoConfig

SMALL = ServoConfig(horizon=12, cem=CemConfig(candidates=8, iterations=1, bound=1.0))


def outcome(*rewards: float) -> Outcome:
    frames = [np.full((2, 2, 3), k, dtype=np.uint8) for k in range(len(rewards) + 1)]
    measures = [{"reward": 9.0}, *({"reward": reward} for reward in rewards)]
    return Outcome(frames=frames, measures=measures)


def test_best_frame_follows_the_highest_reward():
    assert best_frame(outcome(1.0, 4.0, 4.0, 2.0))[0, 0, 0] == 3


def test_best_frame_is_the_start_if_the_first_step_diverges():
    diverged = outcome()
    assert best_frame(diverged) is diverged.frames[0]


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
    first, records = evaluate(run)
    assert json.loads(run.out.read_text()) == first
    assert first["made_by"] == "planner.evaluate dmc" and first["objective"] == "reward"
    assert first["table"].startswith("| task | arm | n | return, mean")
    assert {trial: len(found) for trial, found in records.items()} == dict.fromkeys(run.trials(), 2)
    assert set(first["settings"]["reacher-easy"]) == {"simulator", "random"}
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
    again, _ = evaluate(run)
    assert journal.read_text().splitlines()[:3] == lines[:3]
    for old, new in zip(first["rows"], again["rows"], strict=True):
        assert (old["return_mean"], old["return_ci95"]) == (new["return_mean"], new["return_ci95"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"arms": "learned,magic"}, "choose from simulator, simulator-10x, learned, rewards, random"),
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
        evaluate(Dmc(**settings))
    assert not list(tmp_path.iterdir())


def small(tmp_path, **changes: Any) -> Dmc:
    settings: dict[str, Any] = {"task": "reacher-easy", "arms": "random", "episodes": 2, "steps": 2}
    return Dmc(**settings | changes, workers=1, out=tmp_path / "r.json")


def test_fresh_episodes_follow_from_their_seed_and_are_not_the_frozen_ones(tmp_path):
    one, again, other = (small(tmp_path, fresh=seed).starts(("reacher-easy", "random")) for seed in (4, 4, 5))
    frozen = small(tmp_path).starts(("reacher-easy", "random"))
    assert one == again and one.fingerprint != other.fingerprint
    assert not {start.seed for start in one.starts} & {start.seed for start in frozen.starts}
    # More than are frozen can be had.
    assert len(small(tmp_path, fresh=4, episodes=21).starts(("reacher-easy", "random")).starts) == 21
    result, _ = evaluate(small(tmp_path, fresh=4))
    assert result["manifest"]["name"] == "dmc-fresh-4" and result["manifest"]["seed"] == 4


def test_changed_worlds_are_evaluated_apart_from_the_standard_one(tmp_path):
    plain, _ = evaluate(small(tmp_path))
    dark, _ = evaluate(small(tmp_path, variation=DmcVariation(light=0.7)))
    assert plain["settings"]["reacher-easy"]["random"].keys() == {"seed", "steps"}
    assert dark["settings"]["reacher-easy"]["random"]["variation"] == {"light": 0.7}
    assert len((tmp_path / "r.json.episodes.jsonl").read_text().splitlines()) == 4
    # Who is blind does not care.
    assert dark["rows"][0]["return_mean"] == plain["rows"][0]["return_mean"]


def test_the_slowest_episodes_come_first():
    run = Dmc(task="cartpole-balance,walker-walk", arms="random,learned,simulator")
    assert run.trials()[0] == ("cartpole-balance", "random")
    assert run.order(run.trials()) == [
        (task, arm)
        for arm in ("simulator", "learned", "random")
        for task in ("walker-walk", "cartpole-balance")
    ]


@pytest.mark.parametrize("change", [{"horizon": 0}, {"settings": SMALL.model_copy(update={"horizon": 5})}])
def test_how_far_the_search_looks_is_said_with_the_horizon(tmp_path, change: dict[str, Any]):
    run = Dmc(task="reacher-easy", arms="simulator", out=tmp_path / "r.json", **change)
    with pytest.raises(ValueError, match="say with --horizon"):
        evaluate(run)
    assert not list(tmp_path.iterdir())
