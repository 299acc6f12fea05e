"""Rows about several trainings at once, and how planner.report is asked for them."""

import json

import pytest

from planner.report import Report, report

MANIFEST = {"name": "push-two-walls-m3-200", "fingerprint": "ab" * 32, "seed": 1}
PLACE = "<!-- timing -->\n<!-- /timing -->\n"


def row(planner, successes, won=None, lost=None, crossing=0):
    return {
        "planner": planner,
        "servo": "simulator",
        "episodes": 200,
        "success_rate": successes / 200,
        "won": won,
        "lost": lost,
        "keyframes": 3,
        "plans_through_wall": crossing,
        "seconds_per_plan_p50": 0.1,
    }


def write(path, seed, *rows, **changes):
    settings = {f"{one['planner']}, simulator": {"weights_sha256": f"{one['planner']}{seed}"} for one in rows}
    content = {
        "made_by": "planner.evaluate push",
        "env": "waymark/PushTwoWalls-v0",
        "manifest": MANIFEST,
        "settings": settings,
        "table": "not used",
        "rows": list(rows),
    }
    path.write_text(json.dumps(content | changes))
    return str(path)


@pytest.fixture
def files(tmp_path):
    """Three seeds: KeyIn 196, 194 and 198 of 200, Jumpy 150, 160 and 155."""
    found = zip((196, 194, 198), (150, 160, 155), strict=True)
    return [
        write(
            tmp_path / f"pauses-s{seed}.json", seed, row("keyin", a, crossing=2), row("jumpy", b, 3, 45, 60)
        )
        for seed, (a, b) in enumerate(found)
    ]


def filled(tmp_path, tables):
    readme = tmp_path / "README.md"
    readme.write_text(PLACE)
    report(Report(tables=(f"timing={tables}",), readme=readme))
    return readme.read_text().splitlines()


def test_a_row_is_about_all_seeds_together(files, tmp_path):
    _, titles, _, keyin, jumpy, *_ = filled(tmp_path, "+".join(files))
    assert titles.startswith("| results | planner | servo | keyframes | seeds × n |")
    assert keyin == (
        "| pauses | keyin | simulator | 3 | 3 × 200 | 98.0 % (98.0 / 97.0 / 99.0) | 96.5 to 98.9 "
        "| - | 6 | 0.100 |"
    )
    assert jumpy == (
        "| pauses | jumpy | simulator | 3 | 3 × 200 | 77.5 % (75.0 / 80.0 / 77.5) | 74.0 to 80.7 "
        "| 9 / 135 (5e-30) | 180 | 0.100 |"
    )


def test_groups_of_seeds_are_rows_of_one_table(files, tmp_path):
    other = write(tmp_path / "regular.json", 7, row("keyin", 200))
    lines = filled(tmp_path, f"{'+'.join(files)},{other}")
    assert [line.split("|")[1].strip() for line in lines[3:6]] == ["pauses", "pauses", "regular"]
    assert "| 1 × 200 | 100.0 % (100.0) |" in lines[5]
    assert lines[-2] == "Episodes: `push-two-walls-m3-200`, fingerprint `abababababababab`."


@pytest.mark.parametrize(
    ("rows", "changes", "problem"),
    [
        ([row("keyin", 1), row("jumpy", 1, 0, 0)], {"manifest": MANIFEST | {"seed": 2}}, "another manifest"),
        ([row("keyin", 1)], {}, "other planners or numbers of episodes"),
        (
            [row("keyin", 1), row("jumpy", 1, 0, 0)],
            {"made_by": "planner.evaluate dmc"},
            "is not of planner.eval",
        ),
    ],
)
def test_what_is_no_row_together_is_refused(files, tmp_path, rows, changes, problem):
    wrong = write(tmp_path / "wrong.json", 9, *rows, **changes)
    with pytest.raises(ValueError, match=problem):
        filled(tmp_path, f"{files[0]}+{wrong}")


def test_one_training_counts_once(files, tmp_path):
    with pytest.raises(ValueError, match="of the same weights as another file"):
        filled(tmp_path, f"{files[0]}+{files[0]}")
    with pytest.raises(ValueError, match=r"NAME=FILE\+FILE"):
        filled(tmp_path, f"{files[0]}+")
