import json
from pathlib import Path
from typing import Any

import pytest

from envs.push.env import PushEnv
from envs.push.episodes import load_manifest
from envs.push.scene import Variation
from planner.evaluate import Push
from planner.robustness import VARIATIONS, Robustness, markdown, measure
from world_models.frames import to_tensor
from world_models.segmenter import PUCK_GOAL

MANIFEST = {"name": "push-400"}


def outcome(job: Push) -> dict[str, Any]:
    """What an evaluation would return, without running one: twice the friction halves the success."""
    share = 1 / job.variation.friction
    row = {
        "servo": job.servo,
        "episodes": job.episodes,
        "success_rate": share,
        "success_ci95": [share - 0.1, share],
        "strict_rate": share,
        "position_error_mean": 1.0 - 0.9 * share,
        "goals_unseen": 0,
    }
    rows = [{"planner": name, **row} for name in job.names()]
    return {"env": "waymark/Push-v0", "manifest": MANIFEST, "rows": rows}


def test_every_variation_changes_one_factor_of_the_world() -> None:
    changed = {
        name: variation.model_dump(exclude_defaults=True) for name, (_, variation) in VARIATIONS.items()
    }
    assert changed.pop("standard") == {}
    assert all(len(factors) == 1 for factors in changed.values())
    factors = {factor for factors in changed.values() for factor in factors}
    assert factors == set(Variation.model_fields) - {"table_color"}
    assert len({str(factors) for factors in changed.values()}) == len(changed)


def test_each_variation_is_evaluated_in_its_world_and_compared_with_the_standard(tmp_path: Path) -> None:
    jobs: list[Push] = []

    def evaluation(job: Push) -> dict[str, Any]:
        jobs.append(job)
        return outcome(job)

    run = Robustness(
        variations="friction-2,light-0.8", planners="keyin,flat", episodes=7, out=tmp_path / "r.json"
    )
    result = measure(run, evaluation)
    assert json.loads(run.out.read_text()) == result
    assert (result["made_by"], result["table"]) == ("planner.robustness push", markdown(result["rows"]))
    assert [job.variation for job in jobs] == [Variation(), Variation(friction=2.0), Variation(light=0.8)]
    assert len({job.out for job in jobs}) == 3, "journals are kept apart"
    assert {job.servo for job in jobs} == {"learned"} and not any(job.compare for job in jobs)
    rows = {(row["variation"], row["planner"]): row for row in result["rows"]}
    assert list(rows)[:3] == [("standard", "keyin"), ("standard", "flat"), ("friction-2", "keyin")]
    assert rows["friction-2", "flat"]["success_change"] == pytest.approx(-0.5)
    assert rows["friction-2", "flat"]["position_error_change"] == pytest.approx(0.45)
    assert rows["light-0.8", "keyin"]["success_change"] == 0
    lines = markdown(result["rows"]).splitlines()
    assert "| keyin | learned | 7 | 50.0 % (40.0 to 50.0) | 50.0 % | 0.550 | -50.0 | +0.450 | 0 |" in lines[4]
    assert lines[2].endswith("| 0.100 | - | - | 0 |")
    assert len({line.count("|") for line in lines}) == 1


def test_the_goal_is_found_in_every_world_but_that_of_the_red_puck() -> None:
    scene, unseen = load_manifest("push-400").starts[0], []
    for name, (_, variation) in VARIATIONS.items():
        env = PushEnv(variation)
        goal = env.reset(options={"scene": scene})[1]["goal"]
        env.close()
        if PUCK_GOAL.segmenter.blob(to_tensor(goal)[None]).centre.isnan().any():
            unseen.append(name)
    assert unseen == ["puck-red"]


@pytest.mark.parametrize("names", ["standard,puck-gold", " , "])
def test_unknown_variations_are_refused_with_the_valid_ones(tmp_path: Path, names: str) -> None:
    with pytest.raises(ValueError, match="choose from standard, puck-violet"):
        measure(Robustness(variations=names, out=tmp_path / "r.json"))
    assert not list(tmp_path.iterdir())
