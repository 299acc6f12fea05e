import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from envs.dmc.variation import DmcVariation
from planner.evaluation.dmc import Dmc
from planner.evaluation.robustness.dmc import DmcRobustness, markdown
from planner.evaluation.robustness.shifts import DMC_VARIATIONS
from planner.evaluation.robustness.study import measure

MANIFEST = {"name": "dmc-20"}


def outcome(job: Dmc) -> dict[str, Any]:
    """What an evaluation would return, without running one: the return falls with the light."""
    rows = [
        {
            "task": task,
            "arm": "learned",
            "episodes": job.episodes,
            "return_mean": 800 * job.variation.light,
            "return_ci95": None if job.episodes == 1 else [700.0, 900.0],
        }
        for task in job.tasks()
    ]
    return {"manifest": MANIFEST, "rows": rows}


def test_every_variation_changes_one_factor_and_all_factors_are_changed() -> None:
    changed = [set(variation.model_dump(exclude_defaults=True)) for _, variation in DMC_VARIATIONS.values()]
    assert changed[0] == set() and all(len(factors) == 1 for factors in changed[1:])
    assert set().union(*changed) == set(DmcVariation.model_fields)


def test_returns_stand_beside_the_standards(tmp_path: Path) -> None:
    jobs: list[Dmc] = []

    def evaluation(job: Dmc) -> dict[str, Any]:
        jobs.append(job)
        return outcome(job)

    run = DmcRobustness(
        variations="light-0.7", task="cartpole-balance", episodes=2, fresh=3, out=tmp_path / "r.json"
    )
    result = measure(run, evaluation)
    assert json.loads(run.out.read_text()) == result
    assert (result["made_by"], result["table"]) == ("planner.robustness dmc", markdown(result["rows"]))
    assert [job.variation for job in jobs] == [DmcVariation(), DmcVariation(light=0.7)]
    assert {(job.arms, job.fresh, job.episodes) for job in jobs} == {("learned", 3, 2)}
    assert replace(run, device="meta").evaluation(run.changes()[0]).device == "meta"
    assert [(row["variation"], row["of_standard"]) for row in result["rows"]] == [
        ("standard", 1.0),
        ("light-0.7", pytest.approx(0.7)),
    ]
    *_, standard, dark = result["table"].splitlines()
    assert standard.endswith("| 2 | 800.0 (700.0 to 900.0) | - | - |")
    assert dark.endswith("| 2 | 560.0 (700.0 to 900.0) | 800.0 (700.0 to 900.0) | 70 % |")
    sheet = np.asarray(Image.open(tmp_path / "r.png"))
    assert sheet[:128, -100:].mean() > sheet[-128:, -100:].mean(), "the darker world comes second"


def test_one_episode_has_no_interval() -> None:
    run = DmcRobustness(episodes=1)
    change = run.changes()[1]
    row, standard = outcome(run.evaluation(change))["rows"][0], outcome(Dmc(episodes=1))["rows"][0]
    assert "| 560.0 | 800.0 | 70 % |" in markdown([run.row(change, row, standard)])


def test_unknown_variations_are_refused_with_the_valid_ones(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"choose from standard, light-0\.7"):
        measure(DmcRobustness(variations="light-0.1", out=tmp_path / "r.json"))
    assert not list(tmp_path.iterdir())
