import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from envs.push.env import PushEnv
from envs.push.episodes import draw_episodes, load_manifest
from envs.push.variation.factors import Variation
from planner.evaluation.push import Push
from planner.evaluation.robustness.push import Robustness, markdown, summarise
from planner.evaluation.robustness.shifts import VARIATIONS
from planner.evaluation.robustness.study import measure
from planner.report import Measurement, figures_of
from world_models.frames import to_tensor
from world_models.segmenter import PUCK_GOAL

MANIFEST = {"name": "push-400"}
OLDEST = {
    "standard",
    "puck-violet",
    "puck-pink",
    "puck-red",
    "wall-green",
    "light-0.8",
    "light-1.2",
    "pitch+3",
    "pitch-3",
    "radius-0.85",
    "radius-1.15",
    "friction-2",
}
"""Names that results hold since there are any."""


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
    changed = {name: variation.changed() for name, (_, variation) in VARIATIONS.items()}
    assert changed.pop("standard") == {}
    assert len(changed) == 28 and VARIATIONS.keys() >= OLDEST
    assert all(len(factors) == 1 for factors in changed.values())
    factors = {factor for factors in changed.values() for factor in factors}
    corruptions = {f"corruption.{name}" for name in type(Variation().corruption).model_fields}
    assert factors == set(Variation.model_fields) - {"corruption"} | corruptions
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
    assert lines[-1].startswith(
        "| mean | of 2; 1 at 95 % or more | flat | learned | - | 75.0 % (lowest 50.0, friction-2) |"
    )
    assert len({line.count("|") for line in lines}) == 1


def test_the_summary_is_about_the_changed_worlds_of_each_planner(tmp_path: Path) -> None:
    run = Robustness(variations="friction-2,light-0.8", planners="keyin,flat", out=tmp_path / "r.json")
    result = measure(run, outcome)
    assert result["summary"] == summarise(result["rows"])
    assert [(one["planner"], one["worlds"]) for one in result["summary"]] == [("keyin", 2), ("flat", 2)]
    assert result["summary"][0] == {
        "planner": "keyin",
        "servo": "learned",
        "worlds": 2,
        "success_mean": 0.75,
        "strict_mean": 0.75,
        "success_lowest": 0.5,
        "lowest": "friction-2",
        "worlds_at_95": 1,
    }


def test_fresh_episodes_workers_and_device_reach_the_evaluations(tmp_path: Path) -> None:
    out = tmp_path / "r.json"
    run = Robustness(variations="light-0.8", episodes=3, fresh=21, workers=3, device="meta", out=out)
    jobs = [run.evaluation(change) for change in run.changes()]
    assert {(job.fresh, job.workers, job.episodes, job.device) for job in jobs} == {(21, 3, 3, "meta")}
    expected = draw_episodes(21, 3).fingerprint
    assert {job.starts(("keyin", "learned")).fingerprint for job in jobs} == {expected}


def test_pairs_are_random_but_reproducible_and_of_two_factors(tmp_path: Path) -> None:
    run = Robustness(pairs=12, pairs_seed=1, out=tmp_path / "r.json")
    standard, *pairs = run.changes()
    assert standard.name == "standard" and len({pair.name for pair in pairs}) == 12
    for pair in pairs:
        one, other = (VARIATIONS[name][1].changed() for name in pair.variations)
        assert pair.world.changed() == one | other and len(one | other) == 2
        assert pair.name == "_".join(pair.variations)
    assert pairs == Robustness(pairs=12, pairs_seed=1).changes()[1:]
    assert pairs != Robustness(pairs=12, pairs_seed=2).changes()[1:]


def test_results_of_pairs_say_which_they_are(tmp_path: Path) -> None:
    run = Robustness(variations="friction-2,jpeg-50", pairs=1, episodes=2, out=tmp_path / "r.json")
    result = measure(run, outcome)
    assert result["pairs_seed"] == 0
    assert [row["variations"] for row in result["rows"]] == [[], ["friction-2", "jpeg-50"]]
    assert result["rows"][1]["changed"] == {"friction": 2.0, "corruption": {"jpeg": 50}}
    assert "| friction-2_jpeg-50 | twice the friction; pictures through JPEG" in result["table"]


@pytest.mark.parametrize("count", [0, 2])
def test_more_pairs_than_there_are_cannot_be_drawn(tmp_path: Path, count: int) -> None:
    run = Robustness(variations="light-0.5,light-0.8,jpeg-50", pairs=3 * count, out=tmp_path / "r.json")
    with pytest.raises(ValueError, match="--pairs must be 1 to 2, of these variations"):
        measure(run)
    assert not list(tmp_path.iterdir())


def test_a_picture_shows_how_every_world_begins(tmp_path: Path) -> None:
    run = Robustness(variations="puck-red", episodes=2, fresh=5, out=tmp_path / "r.json")
    measure(run, outcome)
    sheet = np.asarray(Image.open(tmp_path / "r.png"))
    env = PushEnv(Variation(puck_color=(0.90, 0.10, 0.10)))
    picture, _ = env.reset(options={"scene": draw_episodes(5, 2).starts[1]})
    env.close()
    assert np.array_equal(sheet[-128::2, -132:-4:2], picture)
    assert (sheet[:128, :180] < 128).any(), "a name stands before the pictures"


def test_a_row_of_pictures_tells_the_success_if_all_its_worlds_are_run(tmp_path: Path) -> None:
    names = ("light-0.5", "puck-red", "pitch+3", "distractor")
    whole, part = (
        Robustness(variations=",".join(chosen), episodes=2, out=tmp_path / f"{len(chosen)}.json")
        for chosen in (names, names[:-1])
    )
    for study in (whole, part):
        measure(study, outcome)
    assert not (tmp_path / "3.front.png").exists()
    row = np.asarray(Image.open(tmp_path / "4.front.png"))
    scene = load_manifest("push-400").starts[0]
    env = PushEnv(Variation(light=0.5))
    picture, _ = env.reset(options={"scene": scene})
    env.close()
    assert row.shape[1] == 5 * 192 + 4 * 4
    assert np.array_equal(row[:192:3, 196:388:3], picture)
    assert (row[192:, :192] < 128).any(), "a caption stands under the first"


def test_worlds_look_different_and_the_goals_colour_is_lost_in_few() -> None:
    scene, unseen, alike, seen = load_manifest("push-400").starts[0], [], [], {}
    for name, (_, variation) in VARIATIONS.items():
        env = PushEnv(variation)
        picture, info = env.reset(options={"scene": scene})
        env.close()
        if PUCK_GOAL.segmenter.blob(to_tensor(info["goal"])[None]).centre.isnan().any():
            unseen.append(name)
        if seen.setdefault(picture.tobytes(), name) != name:
            alike.append(name)
    assert unseen == ["puck-red", "puck-yellow", "light-0.5"]
    assert alike == ["friction-2"]


@pytest.mark.parametrize(("variation", "figures"), [({}, 1), ({"light": 0.5}, 0)])
@pytest.mark.parametrize("verb", ["push", "dmc"])
def test_what_a_model_does_in_a_changed_world_is_no_figure_of_it(
    verb: str, variation: dict[str, float], figures: int
) -> None:
    used = {"weights_sha256": "ab", "variation": variation}
    content = {
        "env": "waymark/Push-v0",
        "objective": "reward",
        "manifest": MANIFEST,
        "settings": {"keyin, learned": used, "reacher-easy": {"learned": used}},
        "rows": [
            {
                "planner": "keyin",
                "servo": "learned",
                "task": "reacher-easy",
                "arm": "learned",
                "episodes": 5,
                "success_rate": 0.9,
                "return_mean": 800.0,
            }
        ],
    }
    measured = Measurement(Path("r.json"), f"planner.evaluate {verb}", content, "")
    assert len(list(figures_of(measured, "ab"))) == figures


@pytest.mark.parametrize("names", ["standard,puck-gold", " , "])
def test_unknown_variations_are_refused_with_the_valid_ones(tmp_path: Path, names: str) -> None:
    with pytest.raises(ValueError, match="choose from standard, puck-violet"):
        measure(Robustness(variations=names, out=tmp_path / "r.json"))
    assert not list(tmp_path.iterdir())


def test_results_and_picture_must_be_two_files(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="would be written twice"):
        measure(Robustness(variations="standard", out=tmp_path / "r.png"), outcome)
