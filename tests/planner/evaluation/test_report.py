import json
from pathlib import Path

import pytest
from torch import nn

from envs.dmc.world import DmcWorld
from envs.push.world import PushWorld
from planner import ablate, benchmark, report
from planner.evaluation.results import markdown_table
from planner.evaluation.robustness.push import markdown as robustness_table
from planner.figures import FIGURES, Figure, read_figures
from planner.report import CARD_TABLES, Report, read_measurement, replace_table
from world_models.checkpoint import CheckpointError, read_model, write_model
from world_models.keyin import KeyInConfig
from world_models.keyin.keyframes.results import markdown_table as keyframe_table
from world_models.svg.evaluation.table import markdown_tables as video_tables

README = (
    "before\n<!-- push-400 -->\nold\n<!-- /push-400 -->\nbetween\n<!-- bench -->\n<!-- /bench -->\nafter\n"
)
PLACES = README + "".join(
    f"<!-- {name} -->\n<!-- /{name} -->\n" for name in ("ablation", "keyframes", "dmc", "robustness")
)
RATES = {
    "success_rate": 0.95,
    "success_ci95": [0.92, 0.97],
    "strict_rate": 0.94,
    "position_error_mean": 0.1,
    "steps_mean": 41.0,
    "model_steps_mean": 3600.0,
    "simulator_steps_mean": 42000.0,
    "seconds_per_step_p50": 0.07,
}
ROW = {
    "planner": "keyin",
    "servo": "simulator",
    "episodes": 400,
    **RATES,
    "position_error_std": 0.2,
    "initial_error_mean": 1.34,
    "keyframes": 6,
    "planned_whole_rate": 0.99,
    "plans_through_wall": 0,
    "seconds_per_plan_p50": 0.2,
}
MANIFEST = {"name": "push-400", "fingerprint": "ab" * 32, "seed": 400}
RESULT = {"env": "waymark/Push-v0", "manifest": MANIFEST, "settings": {}, "rows": [ROW]}
LOW_LEVEL = {"planner": "keyin", "servo": "learned", "n": 100}
ABLATED = {"name": "paper", "what": "as published", **LOW_LEVEL, **RATES, "settings": {}}
ABLATION = {"env": "waymark/Push-v0", "task": "push", "manifest": MANIFEST, "rows": [ABLATED]}
CHANGES = {"goals_unseen": 2, "success_change": -0.05, "position_error_change": 0.01, "changed": {}}
VARIED = {"variation": "light-0.8", "what": "less light", **LOW_LEVEL, **RATES, **CHANGES}
ROBUSTNESS = {**ABLATION, "rows": [VARIED]}
CONTROLLED = {
    "task": "reacher-easy",
    "arm": "learned",
    "episodes": 20,
    "return_mean": 80.0,
    "return_std": 14.0,
    "return_ci95": [70.0, 90.0],
    "of_simulator": 0.8,
    "of_random": 4.0,
    "steps_mean": 250.0,
    "model_steps_mean": 384000.0,
    "seconds_per_decision_p50": 0.05,
}
DMC = {"objective": "reward", "manifest": {**MANIFEST, "name": "dmc-20"}, "rows": [CONTROLLED]}
SCORES = {"f1": 0.96, "precision": 0.95, "recall": 0.97, "f1_pm1": 0.99}
KEYFRAMES = [{"dataset": "brownian", "method": "keyin", "seed": 0, "n": 1000, **SCORES}]
MEASURED = {"mean": 0.75, "low": 0.74, "high": 0.76}
VIDEOS = {
    "protocol": {"samples": {"svg-lp-digits": 100}},
    "scores": {
        "methods": {
            "svg-lp-digits": dict.fromkeys(("ssim_best", "psnr_best", "ssim_mean", "psnr_mean"), MEASURED)
        },
        "differences": {},
    },
    "directions": [],
    "prior_spread": None,
}
BENCH = {
    "machine": {"processor": "x", "cores": 2, "torch": "2"},
    "threads": 1,
    "repeats": 3,
    **{part: {"some_ms_p50": 1234.5} for part in ("matmul", "plan", "servo", "dmc", "render")},
}


PUSH_LABELS, DMC_LABELS = ("planner", "servo"), ("task", "arm")


def measured(maker, content, table):
    """A file's content as its maker writes it."""
    return {"made_by": maker, **content, "table": table}


def evaluated(**changes):
    """What planner.evaluate push writes."""
    row = {**ROW, **changes}
    return measured(
        "planner.evaluate push",
        {**RESULT, "rows": [row]},
        markdown_table([row], PUSH_LABELS, PushWorld.columns),
    )


CONTENTS = {
    "r": evaluated(),
    "a": measured("planner.ablate push", ABLATION, ablate.markdown([ABLATED])),
    "v": measured("planner.robustness push", ROBUSTNESS, robustness_table([VARIED])),
    "d": measured("planner.evaluate dmc", DMC, markdown_table([CONTROLLED], DMC_LABELS, DmcWorld.columns)),
    "b": measured("planner.benchmark", BENCH, benchmark.markdown(BENCH)),
    "s": measured("world_models.evaluate svg", VIDEOS, video_tables(VIDEOS)),
    "k": KEYFRAMES,
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a README to fill, in which commands are run."""
    monkeypatch.chdir(tmp_path)
    Path("README.md").write_text(PLACES)
    for name, content in CONTENTS.items():
        Path(f"{name}.json").write_text(json.dumps(content))
    return tmp_path


def test_tables_are_replaced_and_the_rest_is_left_alone(folder):
    Path("README.md").write_text(README)
    for _ in range(2):  # filling twice changes nothing more
        report.report(Report(("push-400=r.json",)))
        text = Path("README.md").read_text()
    assert "| keyin | simulator | 400 | 95.0 % (92.0 to 97.0) | - | 94.0 % |" in text
    assert "old" not in text
    assert text.startswith("before\n<!-- push-400 -->\n| planner")
    assert "\n\nEpisodes: `push-400`, fingerprint `abababababababab`.\n<!-- /push-400 -->" in text
    assert text.endswith("<!-- /push-400 -->\nbetween\n<!-- bench -->\n<!-- /bench -->\nafter\n")


def test_every_measurement_is_shown_as_its_maker_shows_it(folder):
    tables = ("push-400=r.json", "ablation=a.json", "keyframes=k.json", "bench=b.json", "dmc=d.json")
    report.report(Report((*tables, "robustness=v.json")))
    text = Path("README.md").read_text()
    assert "<!-- ablation -->\n| variant |" in text
    assert "| paper | as published | keyin | learned | 100 |" in text
    assert "| light-0.8 | less light | keyin | learned | 100 | 95.0 % (92.0 to 97.0) | 94.0 % |" in text
    assert "| reacher-easy | learned | 20 | 80.0 ± 14.0 (70.0 to 90.0) | 80 % | 4.0 × |" in text
    assert f"<!-- keyframes -->\n{keyframe_table(KEYFRAMES)}\n<!-- /keyframes -->" in text
    assert f"<!-- bench -->\n{benchmark.markdown(BENCH)}\n<!-- /bench -->" in text
    assert text.count("Episodes: ") == 4


def test_cards_get_what_was_measured_on_videos(folder):
    write_model(folder / "one", KeyInConfig(), nn.Linear(1, 1), "# Card\n")
    Path("README.md").write_text(PLACES + "<!-- svg -->\n<!-- /svg -->\n")
    report.report(Report(("svg=s.json",), card=(folder / "one",)))
    row = "| svg-lp-digits | 100 | 0.7500 ± 0.0100 |"
    assert row in Path("README.md").read_text() and row in read_model(folder / "one").card


def test_files_of_one_name_become_one_table_that_names_them(folder):
    other = {**evaluated(planner="tap"), "manifest": {**MANIFEST, "name": "push-long-200"}}
    Path("seed-1.json").write_text(json.dumps(other))
    report.report(Report(("push-400=r.json,seed-1.json",)))
    table = Path("README.md").read_text().split("<!-- push-400 -->\n")[1].split("\n<!-- /push-400 -->")[0]
    header, rule, first, second, _, source = table.splitlines()
    assert header.startswith("| file | planner | servo |") and first.startswith("| r | keyin | simulator |")
    assert second.startswith("| seed-1 | tap | simulator |")
    assert header.count("|") == rule.count("|") == first.count("|") == second.count("|")
    assert "`push-400`, fingerprint `abababababababab`; `push-long-200`, fingerprint" in source


def test_cards_get_the_first_closed_loop_table_and_stay_whole(folder):
    config = KeyInConfig()
    models = (folder / "one", folder / "two")
    for model in models:
        write_model(model, config, nn.Linear(1, 1), "# Card\n")
    Path("later.json").write_text(json.dumps(evaluated(planner="flat")))
    Path("README.md").write_text(PLACES + "<!-- later -->\n<!-- /later -->\n")
    tables = ("bench=b.json", "push-400=r.json", "later=later.json")
    for _ in range(2):
        report.report(Report(tables, card=models))
        for model in models:
            card = read_model(model).card
            assert card.startswith("# Card\n\n## In closed loop\n<!-- closed-loop -->\n| planner | servo |")
            assert card.count("| keyin | simulator |") == 1 and "| flat |" not in card


def test_a_card_gets_for_machines_what_was_measured_of_its_weights_alone(folder):
    models = [folder / name for name in ("one", "two")]
    for index, model in enumerate(models):
        layer = nn.Linear(1, 1)
        nn.init.constant_(layer.weight, index)
        write_model(model, KeyInConfig(), layer, "# Card\n")
    first, second = ({"weights_sha256": read_model(model).weights_digest} for model in models)
    pushed = evaluated() | {"settings": {"keyin, simulator": first}}
    controlled = CONTENTS["d"] | {"settings": {"reacher-easy": {"learned": second, "random": {}}}}
    for name, content in (("r", pushed), ("d", controlled)):
        Path(f"{name}.json").write_text(json.dumps(content))
    report.report(Report(("push-400=r.json", "dmc=d.json"), card=tuple(models)))
    found = [read_figures(model, read_model(model).weights_digest) for model in models]
    success = Figure(task="push", measure="success", value=0.95, episodes=400, manifest="push-400")
    earned = Figure(task="reacher-easy", measure="return", value=80.0, episodes=20, manifest="dmc-20")
    assert found == [{"push": success}, {"reacher-easy": earned}]
    asked = {"settings": {"keyin, simulator": first | {"keyframes": 3}}}  # not the model's own choice
    for changes in ({"rows": [{**ROW, "success_rate": 0.5}]}, asked):
        Path("r.json").write_text(json.dumps(pushed | changes))
        report.report(Report(("push-400=r.json", "dmc=d.json"), card=tuple(models)))
        assert read_figures(models[0], first["weights_sha256"])["push"].value == 0.5
    write_model(models[0], KeyInConfig(), nn.Linear(1, 1), "# Card\n")
    assert not (models[0] / FIGURES).exists()


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ((), "NAME=FILE"),
        (("r.json",), "NAME=FILE"),
        (("push-400=",), "NAME=FILE"),
        (("push-400=r.json", "push-400=a.json"), "given twice"),
        (("push-400=gone.json",), "no file gone.json"),
        (("push-400=README.md",), "README.md is no JSON"),
        (("push-400=other.json",), "other.json is no measurement that says how it reads; measure again"),
        (("push-400=empty.json",), "empty.json is no measurement that says how it reads; measure again"),
        (("push-400=old.json",), "old.json is no measurement that says how it reads; measure again"),
        (("push-400=r.json", "push-fresh=r.json"), "'<!-- push-fresh -->'.* there are: push-400, bench"),
        (("push-400=r.json,a.json",), "columns differ"),
        (("push-400=r.json,./r.json",), "different names"),
    ],
)
def test_what_cannot_be_filled_is_said_and_nothing_is_written(folder, tables, words):
    Path("other.json").write_text('{"rows": [{"planner": "keyin"}]}')
    Path("empty.json").write_text("[]")
    Path("old.json").write_text(json.dumps(RESULT))
    with pytest.raises(ValueError, match=words):
        report.report(Report(tables))
    assert Path("README.md").read_text() == PLACES


def test_a_card_that_cannot_be_filled_leaves_the_readme_alone(folder):
    with pytest.raises(ValueError, match="none was given"):
        report.report(Report(("bench=b.json",), card=(folder,)))
    with pytest.raises(CheckpointError, match="no model folder"):
        report.report(Report(("push-400=r.json",), card=(folder,)))
    with pytest.raises(ValueError, match=r"no file NEWS\.md"):
        report.report(Report(("push-400=r.json",), readme=Path("NEWS.md")))
    assert Path("README.md").read_text() == PLACES


def test_missing_place_is_named():
    with pytest.raises(ValueError, match="push-fresh"):
        replace_table(README, "push-fresh", "|")


def test_names_are_taken_literally():
    text = "<!-- a.b -->\n<!-- /a.b -->\n<!-- axb -->\n<!-- /axb -->\n"
    assert replace_table(text, "a.b", r"\1").startswith(
        "<!-- a.b -->\n\\1\n<!-- /a.b -->\n<!-- axb -->\n<!--"
    )
    with pytest.raises(ValueError, match="there are"):
        replace_table(text, "a*", "|")


def test_measurements_say_who_made_them(folder):
    makers = {name: read_measurement(Path(f"{name}.json")).maker for name in CONTENTS}
    assert makers == {
        "r": "planner.evaluate push",
        "a": "planner.ablate push",
        "v": "planner.robustness push",
        "d": "planner.evaluate dmc",
        "b": "planner.benchmark",
        "s": "world_models.evaluate svg",
        "k": "world_models.evaluate keyframes",
    }
    assert {makers[name] for name in "rds"} <= set(CARD_TABLES)


@pytest.mark.parametrize("lacking", ["made_by", "table"])
def test_a_file_that_does_not_say_how_it_reads_is_no_measurement(folder, lacking):
    content = {name: value for name, value in evaluated().items() if name != lacking}
    Path("half.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"half\.json is no measurement that says how it reads"):
        read_measurement(Path("half.json"))


def test_any_maker_can_fill_a_table(folder):
    """A measurement that this package has never heard of reads as it says."""
    Path("l.json").write_text(json.dumps(measured("server.load", {}, "| clients |\n|---|\n| 1 |")))
    report.report(Report(("bench=l.json",)))
    assert "<!-- bench -->\n| clients |\n|---|\n| 1 |\n<!-- /bench -->" in Path("README.md").read_text()


def test_cards_get_one_table_of_every_kind_they_hold(folder):
    write_model(folder / "one", KeyInConfig(), nn.Linear(1, 1), "# Card\n")
    report.report(Report(("dmc=d.json", "push-400=r.json"), card=(folder / "one",)))
    card = read_model(folder / "one").card
    assert "## In closed loop\n<!-- closed-loop -->\n| planner | servo |" in card
    assert "## Control of the DM Control tasks\n<!-- control -->\n| task | arm |" in card
