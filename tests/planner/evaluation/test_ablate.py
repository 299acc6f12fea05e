import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from envs.push.scene import Scene, Wall
from envs.push.world import PushWorld
from planner.ablate import VARIANTS, Ablate, ablate, markdown
from planner.episode import run_episode
from planner.evaluate import Push
from planner.evaluation.settings import PAPER, Settings
from planner.goals import make_goal
from planner.low_levels.low_level import LowLevel, Request
from planner.pursuit import Actor, own_seeds
from planner.search.servo import Acting, ServoStep
from world_models.frames import to_tensor


def differences(one: Any, other: Any, path: str = "") -> set[str]:
    """Paths of the leaves in which two JSON values differ."""
    if isinstance(one, dict):
        return {leaf for name in one for leaf in differences(one[name], other[name], f"{path}/{name}")}
    return set() if one == other else {path}


def outcome(job: Push) -> dict[str, Any]:
    """What an evaluation would return, without running one."""
    row = {
        "servo": job.servo,
        "episodes": job.episodes,
        "success_rate": 0.5,
        "success_ci95": [0.4, 0.6],
        "strict_rate": 0.25,
        "position_error_mean": 0.3,
        "steps_mean": 30.0,
        "model_steps_mean": 3600.0,
        "simulator_steps_mean": 30.0 * job.settings.servo.imagined_steps,
        "seconds_per_step_p50": 0.01,
    }
    rows = [{"planner": name, **row} for name in job.names()]
    return {"env": "waymark/Push-v0", "manifest": {"name": "push-400"}, "rows": rows}


def test_every_variant_but_the_papers_changes_one_thing() -> None:
    shipped = Settings().to_json()
    assert len({variant.name for variant in VARIANTS}) == len(VARIANTS)
    for variant in VARIANTS:
        changed = differences(shipped, variant.settings.to_json())
        if variant.name == "shipped":
            assert not changed
        elif variant.name in ("paper", "paper-servo", "paper-size"):
            assert len(changed) > 1, variant.name
        else:
            assert len(changed) == 1, (variant.name, changed)
    assert next(v for v in VARIANTS if v.name == "paper").settings == PAPER


def test_each_variant_is_evaluated_with_its_settings_and_gets_its_rows(tmp_path: Path) -> None:
    jobs: list[Push] = []

    def evaluation(job: Push) -> dict[str, Any]:
        jobs.append(job)
        return outcome(job)

    out = tmp_path / "a.json"
    run = Ablate(variants="paper,shipped", planners="keyin,random", episodes=3, device="meta", out=out)
    result = ablate(run, evaluation)
    assert [(job.settings, job.device) for job in jobs] == [(PAPER, "meta"), (Settings(), "meta")]
    assert len({job.out for job in jobs}) == 2, "journals are kept apart"
    assert json.loads(run.out.read_text()) == result
    assert (result["made_by"], result["table"]) == ("planner.ablate push", markdown(result["rows"]))
    assert [(row["name"], row["planner"]) for row in result["rows"]] == [
        ("paper", "keyin"),
        ("paper", "random"),
        ("shipped", "keyin"),
        ("shipped", "random"),
    ]
    assert result["rows"][0]["simulator_steps_mean"] == 200 * 3 * 8 * 30
    assert result["rows"][0]["n"] == 3
    table = markdown(result["rows"])
    assert "| paper | " in table and "50.0 % (40.0 to 60.0)" in table and "| 3,600 | 144,000 |" in table
    assert "| keyin | simulator | 3 |" in table


def test_rows_that_are_older_than_a_column_have_a_dash_in_it(tmp_path: Path) -> None:
    run = Ablate(variants="shipped", planners="keyin", episodes=3, out=tmp_path / "a.json")
    (row,) = ablate(run, outcome)["rows"]
    del row["servo"], row["model_steps_mean"]
    table = markdown([row])
    assert "| keyin | - | 3 |" in table and "| 30.0 | - | " in table


def test_what_was_run_is_kept_when_a_later_variant_fails(tmp_path: Path) -> None:
    def evaluation(job: Push) -> dict[str, Any]:
        if job.settings == PAPER:
            raise KeyboardInterrupt
        return outcome(job)

    run = Ablate(variants="shipped,paper", out=tmp_path / "a.json")
    with pytest.raises(KeyboardInterrupt):
        ablate(run, evaluation)
    assert [row["name"] for row in json.loads(run.out.read_text())["rows"]] == ["shipped"]


def test_a_variant_is_evaluated_in_the_closed_loop(tmp_path: Path) -> None:
    run = Ablate(variants="shipped", planners="random", episodes=1, workers=1, out=tmp_path / "a.json")
    (row,) = ablate(run)["rows"]
    assert row["n"] == 1
    assert row["position_error_mean"] > 0


class Still(LowLevel):
    """Never moves."""

    def acting(self, request: Request) -> Acting:
        yield from ()
        return ServoStep(torch.zeros(1, 2), torch.zeros(1, 3, 2), torch.zeros(1), torch.zeros(1, 3, 2))


@pytest.mark.parametrize(
    ("name", "places", "plans"),
    [
        # The first subgoal is reached at once, the second missed.
        ("shipped", [(0.0, -0.3), (0.7, 0.0)], 1),
        ("replan-missed", [(0.0, -0.3), (0.7, 0.0)], 2),
        ("replan-always", [(0.0, -0.3), (0.7, 0.0)], 3),
        # Once the last subgoal is reached, the goal is next.
        ("replan-always", [(0.0, -0.3)], 1),
    ],
)
def test_plans_are_made_anew_when_the_variant_says_so(
    push: PushWorld, name: str, places: list[tuple[float, float]], plans: int
) -> None:
    scene = Scene((Wall((-0.8, 0.6), 1.5),), puck=(0.0, -0.3), goal=(0.1, 0.3), finger=(0.0, -0.6), steps=5)
    pictures = [push.begin(replace(scene, puck=place))[0] for place in places]
    frames = to_tensor(np.stack(pictures))
    settings = next(variant.settings for variant in VARIANTS if variant.name == name)
    config = settings.episode.model_copy(update={"max_steps_per_subgoal": 3})
    actor = Actor(Still(), lambda *_: frames, make_goal(push.goal), config)
    outcome = run_episode(push, scene, actor, own_seeds(0))
    assert outcome.steps == 5
    assert len(outcome.plan_seconds) == plans


@pytest.mark.parametrize("names", ["shipped,no-brain", " , "])
def test_unknown_variants_are_refused_with_the_valid_ones(tmp_path: Path, names: str) -> None:
    with pytest.raises(ValueError, match="choose from shipped, paper"):
        ablate(Ablate(variants=names, out=tmp_path / "a.json"))
    assert not list(tmp_path.iterdir())


def test_gradient_steps_are_not_asked_of_the_true_dynamics(tmp_path: Path) -> None:
    run = Ablate(out=tmp_path / "a.json")
    assert {variant.name for variant in VARIANTS} - {variant.name for variant in run.select()} == {"gradient"}
    with pytest.raises(
        ValueError, match="true dynamics have no gradient; choose variants from shipped, paper"
    ):
        replace(run, variants="shipped,gradient").select()
