import json

import numpy as np
import pytest
from PIL import Image

from envs.push.episodes import draw_episodes, load_manifest
from envs.push.ids import PUSH_IDS
from envs.push.scene import path_length
from planner.curves import Curves, draw, gather, read_trials
from world_models.statistics import wilson_interval

WEIGHTS = {"keyin": "aa"}


@pytest.fixture
def write(tmp_path):
    """``write(name, episodes, outcomes)``: a result of planner.evaluate and its journal, without running one.

    ``outcomes`` maps planners to the successes of their first episodes.
    """

    def write(name, episodes, outcomes, keyframes=6, weights=WEIGHTS, steps=1000.0):
        sizes = {"keyin": keyframes, "jumpy": keyframes}
        settings = {f"{p}, simulator": {"seed": 0, "weights_sha256": weights.get(p)} for p in outcomes}
        rows = [{"planner": p, "servo": "simulator", "episodes": len(s)} for p, s in outcomes.items()]
        manifest = {"name": episodes.name, "fingerprint": episodes.fingerprint, "seed": episodes.seed}
        result = {
            "made_by": "planner.evaluate push",
            "env": PUSH_IDS[episodes.task],
            "manifest": manifest,
            "settings": settings,
            "rows": rows,
            "table": "|",
        }
        records = [
            {
                "planner": planner,
                "episode": index,
                "scene": scene.digest,
                "initial_distance": path_length(scene, np.array(scene.puck)),
                "distance": 0.29 if success else 0.30,
                "keyframes": sizes.get(planner),
                "simulator_steps": steps * (1 + index),
                "servo": "simulator",
                "settings": settings[f"{planner}, simulator"],
            }
            for planner, successes in outcomes.items()
            for index, (scene, success) in enumerate(zip(episodes.starts, successes, strict=False))
        ]
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(result))
        journal = tmp_path / f"{name}.json.episodes.jsonl"
        journal.write_text("".join(json.dumps(record) + "\n" for record in records))
        return path

    return write


def entries(found, **wanted):
    return [entry for entry in found if wanted.items() <= entry.items()]


def test_rates_are_binned_by_the_way(write):
    scenes = load_manifest("push-400").starts
    ways = np.array([path_length(scene, np.array(scene.puck)) for scene in scenes[:50]])
    successes = [way < 1.5 for way in ways]
    trials = read_trials(write("r", load_manifest("push-400"), {"keyin": successes}))
    bins = gather(trials)["distance"]
    assert sum(entry["n"] for entry in bins) == 50
    assert [entry["low"] for entry in bins] == sorted({0.25 * np.floor(way / 0.25) for way in ways})
    for entry in bins:
        inside = (ways >= entry["low"]) & (ways < entry["high"])
        assert entry["n"] == inside.sum() and entry["mean"] == pytest.approx(ways[inside].mean())
        assert entry["success_rate"] == (entry["high"] <= 1.5)  # 1.5 is the edge of a bin
        assert entry["success_ci95"] == list(
            wilson_interval(round(entry["success_rate"] * entry["n"]), entry["n"])
        )


def test_walls_are_binned_by_their_length_and_two_walls_are_apart(write):
    standard = write("a", load_manifest("push-400"), {"flat": [True, False, False, False]})
    long = write("b", load_manifest("push-long-200"), {"flat": [False] * 40})
    double = write("c", load_manifest("push-two-walls-200"), {"flat": [True] * 3})
    found = gather([trial for path in (standard, long, double) for trial in read_trials(path)])
    lengths = np.array([s.walls[0].half_length for s in load_manifest("push-long-200").starts[:40]])
    expected = {0.4: 4} | {
        low: int(((lengths >= low) & (lengths < low + 0.05)).sum()) for low in (0.5, 0.55, 0.6)
    }
    assert {entry["low"]: entry["n"] for entry in found["half_length"]} == expected
    assert found["half_length"][0]["mean"] == pytest.approx(0.4)
    assert found["half_length"][0]["success_rate"] == 0.25
    (apart,) = found["two_walls"]
    assert (apart["n"], apart["success_rate"]) == (3, 1.0)


def test_sizes_of_plans_are_apart_and_tasks_too(write):
    push, tight = load_manifest("push-400"), load_manifest("push-tight-200")
    outcomes = {"keyin": [True, True], "flat": [False, False]}
    paths = [
        write("m6", push, outcomes),
        write("m2", push, {"keyin": [True, False]}, keyframes=2, weights={"keyin": "bb"}),
        write("tight", tight, outcomes),
    ]
    found = gather([trial for path in paths for trial in read_trials(path)])["keyframes"]
    rates = {(e["task"], e["planner"], e["keyframes"]): e["success_rate"] for e in found}
    assert rates == {
        ("push", "keyin", 6): 1.0,
        ("push", "keyin", 2): 0.5,
        ("push", "flat", None): 0.0,
        ("push-tight", "keyin", 6): 1.0,
        ("push-tight", "flat", None): 0.0,
    }


def test_an_outcome_in_two_files_counts_once_but_other_weights_count(write):
    push = load_manifest("push-400")
    outcomes = {"keyin": [True, False], "flat": [False, False]}
    first, second = write("one", push, outcomes), write("two", push, outcomes, weights={"keyin": "bb"})
    found = gather(read_trials(first) + read_trials(second))
    (keyin,), (flat,) = (entries(found["keyframes"], planner=name) for name in ("keyin", "flat"))
    assert (keyin["n"], keyin["scenes"]) == (4, 2)
    assert (flat["n"], flat["scenes"]) == (2, 2)
    steps = entries(found["simulator_steps"], planner="flat")
    assert [(entry["file"], entry["n"], entry["simulator_steps_mean"]) for entry in steps] == [
        ("one", 2, 1500.0),
        ("two", 2, 1500.0),
    ]


def test_only_the_outcomes_of_the_result_are_read(write, tmp_path):
    path = write("r", load_manifest("push-400"), {"keyin": [True, True]})
    journal = tmp_path / "r.json.episodes.jsonl"
    first, second = map(json.loads, journal.read_text().splitlines())
    del first["keyframes"]
    stale = {**second, "settings": {"seed": 1}, "distance": 2.0}
    other = {**second, "planner": "tap"}
    before = {name: value for name, value in stale.items() if name != "servo"}
    lines = [json.dumps(record) + "\n" for record in (before, first, second, stale, other)]
    journal.write_text("".join(lines) + '{"planner": "key')
    trials = read_trials(path)
    assert [trial.success for trial in trials] == [True, True]
    assert [trial.keyframes for trial in trials] == [None, 6]


def test_fresh_episodes_are_drawn_again(write):
    path = write("r", draw_episodes(7, 3, "push-long"), {"flat": [True, False, True]})
    assert [trial.scene for trial in read_trials(path)] == [
        scene.digest for scene in draw_episodes(7, 3, "push-long").starts
    ]


def test_picture_and_numbers_are_written(write, tmp_path):
    names = ("push-400", "push-long-200", "push-two-walls-200")
    paths = []
    for seed, name in enumerate(names):
        outcomes = {"keyin": [True] * 9 + [False], "flat": [False] * 10, "random": [False] * (10 - seed)}
        paths.append(write(name, load_manifest(name), outcomes))
    paths.append(write("m2", load_manifest(names[0]), {"keyin": [True] * 5}, 2, {"keyin": "bb"}))
    content = draw(Curves(tuple(paths), out=tmp_path / "figures" / "curves.png"))
    assert json.loads((tmp_path / "figures" / "curves.json").read_text()) == content
    assert not content["same_scenes"]
    with Image.open(tmp_path / "figures" / "curves.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    assert min(pixels.shape[:2]) > 800 and pixels.std() > 10
    only = write("only", load_manifest(names[2]), {"keyin": [True], "flat": [False]})
    assert draw(Curves((only,), out=tmp_path / "only-curves.png"))["same_scenes"]


def altered(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_what_cannot_be_read_is_said(write, tmp_path):
    push = load_manifest("push-400")
    manifest = {"name": push.name, "fingerprint": "0" * 64, "seed": push.seed}
    path = write("r", push, {"keyin": [True, True]})
    journal = tmp_path / "r.json.episodes.jsonl"
    lines = journal.read_text().splitlines()
    journal.write_text(lines[0] + "\n")
    with pytest.raises(ValueError, match="lacks episode 1 of keyin"):
        read_trials(path)
    journal.unlink()
    with pytest.raises(ValueError, match=r"no file .*r\.json\.episodes\.jsonl"):
        read_trials(path)
    altered(path, manifest=manifest)
    with pytest.raises(ValueError, match=r"changed since \(fingerprint 0000000000000000, now 7097bfa1"):
        read_trials(path)
    altered(path, manifest={**manifest, "name": "push-4"})
    with pytest.raises(ValueError, match="no manifest 'push-4'"):
        read_trials(path)
    altered(path, env="waymark/Pull-v0")
    with pytest.raises(ValueError, match=r"there are: waymark/Push-v0"):
        read_trials(path)
    altered(path, made_by="planner.ablate push")
    with pytest.raises(
        ValueError, match=r"is of planner\.ablate push; curves are drawn of planner\.evaluate push"
    ):
        read_trials(path)


@pytest.mark.parametrize(
    ("results", "out", "words"),
    [
        ([], "curves.png", "FILE FILE"),
        (["r"], "curves.pdf", r"must end in \.png"),
        (["r"], "r.png", "overwrite"),
        (["gone"], "curves.png", "no file"),
    ],
)
def test_bad_settings_write_nothing(write, tmp_path, results, out, words):
    write("r", load_manifest("push-400"), {"keyin": [True]})
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ValueError, match=words):
        draw(Curves(tuple(tmp_path / f"{name}.json" for name in results), out=tmp_path / out))
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
